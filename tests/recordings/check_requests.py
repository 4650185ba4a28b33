"""Requests of the check: tables of fields × values, each by the lane and, with a doubled header or in chunks, by ASGI.

An API key's burst is 5,000 a second (the enterprise plan's), so nothing here is limited by chance; what shall be denied
costs more than a limit, or needs what the key has not. Ids for retries are of one recording only.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.recordings.wire import LAST_REQUEST, SILENCE_SECONDS, Exchange, as_json, request

Body = dict[str, Any]
SETTLE_SECONDS = 8.0
"""Settling waits for a check that is still on its way from the journal."""
PATHS = ("/check", "/check/http")
STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1.5, 10**6, 10**6 + 1, 10**30, "", "1", "é", "\u0000", "x" * 600, [], ["a"], [1], {},
    {"a": 1},
)  # fmt: skip
FIELDS = ("key", "cost", "resource", "scopes", "ip", "id", "explain", "request", "unknown")
BROKEN = (
    b"", b" ", b"{", b"{}", b"[]", b"null", b'"text"', b"1", b"{'key': 1}", b'{"key": "a",}', b'{"key": "a"} x',
    b"\xff\xfe",
    b'{"key": "\xff"}', b'{"key": "a", "key": "b"}', b'{"key": "\\ud800"}', b'{"key": NaN}',
    b'{"cost": 1e3, "key": "a"}',
    b"[" * 2000, b'{"key": "' + b"x" * 17_000 + b'"}',
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the ready file hands out, and keys in the states that a check tells apart."""

    token: str
    keys: dict[str, str]


def check_exchanges(credentials: Credentials) -> Iterator[Exchange]:
    yield from _bodies(credentials)
    yield from _heads(credentials)
    yield from _batches(credentials)
    yield from _settlements(credentials)
    yield from _connections(credentials)
    yield from _integrations(credentials)


def _bodies(credentials: Credentials) -> Iterator[Exchange]:
    for name, body in [*_questions(credentials), *_wrong_values(credentials), *_wrong_settles()]:
        paths = ("/check/settle",) if name.startswith("settle") else PATHS if name.startswith("ask") else ("/check",)
        for path in paths:
            yield from _three_ways(credentials, path, name, as_json(body))
    for path in ("/check", "/check/batch", "/check/settle"):
        for number, data in enumerate(BROKEN):
            yield Exchange(f"broken {path} {number:02d} lane", [_post(credentials, path, data)])
            yield Exchange(
                f"broken {path} {number:02d} asgi", [_post(credentials, path, data, [("X-A", "1"), ("X-A", "2")])]
            )


def _questions(credentials: Credentials) -> Iterator[tuple[str, Body]]:
    """Every outcome that a check can have in the demo."""
    best = credentials.keys["enterprise"]
    for name, key in sorted(credentials.keys.items()):
        yield f"ask key {name}", {"key": key}
        yield f"ask key {name} look", {"key": key, "cost": 0}
    wrong_sum = best[:-1] + ("A" if best[-1] != "A" else "B")
    for name, key in {
        "wrong sum": wrong_sum,
        "short": "pk_live_x",
        "foreign": "sk-" + "a" * 40,
        "long": "k" * 512,
    }.items():
        yield f"ask unknown key {name}", {"key": key}
    full = {"key": best, "cost": 2, "resource": "GET /v1/search", "scopes": ["search:read"], "ip": "203.0.113.7"}
    yield "ask full", full
    yield "ask explain", {**full, "explain": True}
    yield "ask explain denied", {**full, "explain": True, "scopes": ["nothing:here"]}
    yield "ask scope missing", {**full, "scopes": ["admin:write"]}
    yield "ask scope by wildcard", {**full, "scopes": ["orders:write"]}
    for cost in (5000, 5001, 200_001, 1_000_000):
        yield f"ask explain cost {cost}", {"key": best, "cost": cost, "explain": True}
    yield "ask dearer than a limit", {"key": best, "cost": 1_000_000}
    for ip in ("203.0.113.7", "2001:db8::1", "::ffff:203.0.113.7", "203.0.113.256", "fe80::1%eth0", "203.0.113.7/32"):
        yield f"ask ip {ip}", {"key": best, "ip": ip}
        yield f"ask restricted ip {ip}", {"key": credentials.keys.get("restricted", best), "ip": ip}


def _wrong_values(credentials: Credentials) -> Iterator[tuple[str, Body]]:
    for field in FIELDS:
        for number, value in enumerate(STRANGE):
            if field != "cost" or value != 10**6:
                yield f"value {field} {number:02d}", {"key": credentials.keys["enterprise"], "cost": 0, field: value}


def _wrong_settles() -> Iterator[tuple[str, Body]]:
    good: Body = {"requestId": "req_00000000000000000000000000", "cost": 1}
    yield "settle unknown", good
    for field in good:
        yield f"settle without {field}", {name: value for name, value in good.items() if name != field}
        for number, value in enumerate(STRANGE):
            yield f"settle {field} {number:02d}", {**good, field: value}
    yield "settle unknown field", {**good, "more": 1}


def _three_ways(credentials: Credentials, path: str, name: str, body: bytes) -> Iterator[Exchange]:
    patience = SETTLE_SECONDS if path == "/check/settle" else SILENCE_SECONDS
    odd = [("X-A", "1"), ("X-A", "2")]
    yield Exchange(f"{path} {name} lane", [_post(credentials, path, body)], silence=patience)
    yield Exchange(f"{path} {name} asgi", [_post(credentials, path, body, odd)], silence=patience)
    if not name.startswith(("value", "settle")):
        yield Exchange(f"{path} {name} chunked", [_chunked(credentials, path, body)])


def _settlements(credentials: Credentials) -> Iterator[Exchange]:
    """Each check is settled twice, then by another cost: once counts."""
    last = LAST_REQUEST.decode()
    for name, cost, more in (("lane", 3, []), ("asgi", 0, [("X-A", "1"), ("X-A", "2")]), ("dearer", 9, [])):
        body = as_json({"key": credentials.keys["enterprise"], "cost": 5})
        yield Exchange(f"settle {name}: check", [_post(credentials, "/check", body)])
        for step, settled in (("first", cost), ("same", cost), ("other", cost + 1)):
            data = _post(credentials, "/check/settle", as_json({"requestId": last, "cost": settled}), more)
            yield Exchange(f"settle {name}: {step}", [data], silence=SETTLE_SECONDS)


def _heads(credentials: Credentials) -> Iterator[Exchange]:
    body = as_json({"key": credentials.keys["enterprise"], "cost": 0})
    json_type, token = ("Content-Type", "application/json"), ("Authorization", f"Bearer {credentials.token}")
    good = [json_type, token]
    authorizations = {
        "none": [], "empty": [""], "basic": ["Basic YTpi"], "bearer alone": ["Bearer"],
        "lower": [f"bearer {credentials.token}"],
        "spaces": [f"Bearer   {credentials.token}  "], "wrong": ["Bearer svc_" + "x" * 43],
        "personal": ["Bearer pat_" + "x" * 43],
        "tail": [token[1] + "x"], "odd": ["Bearer é\x01"], "long": ["Bearer " + "x" * 9000], "double": [token[1],
        token[1]],
    }  # fmt: skip
    variants: dict[str, list[tuple[str, str]]] = {
        f"token {name}": [json_type, *(("Authorization", value) for value in values)]
        for name, values in authorizations.items()
    }
    for kind in (
        "",
        "text/plain",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/jsonx",
        "application/*",
    ):
        variants[f"type {kind or 'empty'}"] = [("Content-Type", kind), token]
    variants["type none"] = [token]
    for name, value in {
        "Connection": "close", "connection": "keep-alive", "CONNECTION": "upgrade", "Upgrade": "h2c",
        "Content-Encoding": "gzip",
        "X-Long": "x" * 15_000, "X-Longer": "x" * 17_000, "X-Latin": "é", "Bad Name": "1", "X-Empty": "", "Host": "",
        "Accept": "text/html",
        "X-Forwarded-For": "192.0.2.1", "Origin": "https://elsewhere.example", "Cookie": "session=x",
        "Accept-Encoding": "gzip",
    }.items():  # fmt: skip
        variants[f"header {name}"] = [*good, (name, value)]
    for length in ("0", "1", "-1", "+5", "abc", "99999999", "9999999999999", "5, 5", ""):
        variants[f"length {length or 'empty'}"] = [*good, ("Content-Length", length)]
    for name, headers in variants.items():
        for path in ("/check", "/check/batch") if name.startswith(("token", "type")) else ("/check",):
            yield Exchange(f"head {path} {name}", [request("POST", path, headers, body)])
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "post", "FOO", "PRI"):
        for path in ("/check", "/check/http", "/check/batch", "/check/settle"):
            yield Exchange(f"method {method} {path}", [request(method, path, good)], is_head=method == "HEAD")
    for path in (
        "/check/",
        "/check?x=1",
        "/check/unknown",
        "/Check",
        "//check",
        "/check%20",
        "/%63heck",
        "http://portal.test/check",
        "*",
    ):
        yield Exchange(f"path {path}", [request("POST", path, good, body)])
    for number, line in enumerate((
        b"POST /check HTTP/1.0", b"POST /check HTTP/2.0", b"POST /check", b"POST  /check HTTP/1.1",
        b"POST /check HTTP/1.1 ", b"/check",
        b"POST /check http/1.1", b" POST /check HTTP/1.1", b"\x16\x03\x01\x02", b"", b"GET / HTTP/1.1\nX: 1",
        b"POST /ch eck HTTP/1.1",
    )):  # fmt: skip
        _, _, rest = request("POST", "/check", good, body).partition(b"\r\n")
        yield Exchange(f"line {number:02d}", [line + b"\r\n" + rest])
    yield Exchange("no host", [b"POST /check HTTP/1.1\r\nContent-Length: 0\r\n\r\n"])
    yield Exchange("folded header", [b"POST /check HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n"])


def _batches(credentials: Credentials) -> Iterator[Exchange]:
    best, look = credentials.keys["enterprise"], {"key": credentials.keys["enterprise"], "cost": 0}
    bodies: dict[str, Any] = {
        "one": {"checks": [look]}, "mixed": {"checks": [look, {"key": "nothing"}, {"key": best, "scopes": ["no:no"]},
        {"key": best}]},
        "atomic": {"mode": "atomic", "checks": [{"key": best}, {"key": best, "cost": 2}]},
        "atomic denied": {"mode": "atomic", "checks": [{"key": best}, {"key": best, "cost": 1_000_000}]},
        "atomic of two accounts": {"mode": "atomic", "checks": [{"key": best}, {"key": credentials.keys["pro"]}]},
        "atomic unknown": {"mode": "atomic", "checks": [{"key": best}, {"key": "nothing"}]},
        "atomic explain": {"mode": "atomic", "checks": [{"key": best, "explain": True}]},
        "atomic ids": {"mode": "atomic", "checks": [{"key": best, "id": "batch-1"}, {"key": best, "id": "batch-1"}]},
        "atomic 101": {"mode": "atomic", "checks": [look] * 101}, "1001": {"checks": [look] * 1001},
        "20": {"checks": [look] * 20},
        "empty": {"checks": []}, "no checks": {}, "wrong mode": {"mode": "all", "checks": [look]},
        "unknown field": {"checks": [look], "a": 1},
        "wrong item": {"checks": [look, {"key": 1}]}, "odd ip": {"checks": [look, {"key": best, "ip": "x"}]},
    }  # fmt: skip
    for number, value in enumerate(STRANGE):
        bodies[f"checks {number:02d}"] = {"checks": value}
        bodies[f"mode {number:02d}"] = {"checks": [look], "mode": value}
    for name, body in bodies.items():
        yield from _three_ways(credentials, "/check/batch", name, as_json(body))


def _connections(credentials: Credentials) -> Iterator[Exchange]:
    look = as_json({"key": credentials.keys["enterprise"], "cost": 0})
    plain = _post(credentials, "/check", look)
    odd = _post(credentials, "/check", look, [("X-A", "1"), ("X-A", "2")])
    last = _post(credentials, "/check", look, [("Connection", "close")])
    live = request("GET", "/livez", {})
    yield Exchange("pipelined 5", [plain * 5], answers=5)
    yield Exchange("pipelined lane then asgi then lane", [plain + odd + plain], answers=3)
    yield Exchange("pipelined with close in the middle", [plain + last + plain], answers=3)
    yield Exchange("pipelined check and health", [plain + live + plain], answers=3)
    yield Exchange("keep-alive of two turns", [plain, plain], answers=2)
    yield Exchange("keep-alive lane then asgi", [plain, odd, plain], answers=3)
    yield Exchange("in small pieces", [plain[:10], plain[10:60], plain[60:-5], plain[-5:]])
    yield Exchange("odd in small pieces", [odd[:10], odd[10:60], odd[60:-5], odd[-5:]])
    yield Exchange("unfinished body", [plain[:-5]])
    yield Exchange("empty lines before", [b"\r\n\r\n" + plain])
    for value in ("100-continue", "200-ok", "100-Continue"):
        headed = _post(credentials, "/check", look, [("Expect", value)])
        yield Exchange(f"expect {value}", [headed[: -len(look)], look])
    for name, data in {
        "size wrong": b"zz\r\n{}\r\n0\r\n\r\n", "extension": b"2;a=b\r\n{}\r\n0\r\n\r\n",
        "trailer": b"2\r\n{}\r\n0\r\nX: 1\r\n\r\n",
        "too large": b"%x\r\n" % 20_000 + b" " * 20_000 + b"\r\n0\r\n\r\n", "unfinished": b"2\r\n{}\r\n",
    }.items():  # fmt: skip
        head = _post(credentials, "/check", b"", [("Transfer-Encoding", "chunked")])
        yield Exchange(f"chunked {name}", [head + data])
    both = _post(credentials, "/check", look, [("Transfer-Encoding", "chunked"), ("Content-Length", str(len(look)))])
    yield Exchange("chunked and length", [both])
    for content in (
        {"cost": 3},
        {"cost": 3},
        {"cost": 4},
        {"cost": 3, "scopes": ["orders:read"]},
        {"cost": 0},
        {"cost": 3, "explain": True},
    ):
        body = as_json({"key": credentials.keys["enterprise"], "id": "retry-1", **content})
        yield Exchange(f"retry with {json.dumps(content)}", [_post(credentials, "/check", body)])


def _integrations(credentials: Credentials) -> Iterator[Exchange]:
    """The addresses for gateways' own modules: what they answer today, there or not."""
    tokens = {
        "none": {},
        "right": {"X-Portal-Token": credentials.token},
        "wrong": {"X-Portal-Token": "svc_" + "x" * 43},
    }
    key = credentials.keys["enterprise"]
    keys = {
        "none": {},
        "bearer": {"Authorization": f"Bearer {key}"},
        "header": {"X-API-Key": key},
        "unknown": {"X-API-Key": "nothing"},
    }
    for path in ("/check/forward", "/check/nginx", "/check/envoy", "/check/envoy/v1/search?q=1"):
        for method in ("GET", "POST", "HEAD"):
            for token_name, token in tokens.items():
                for key_name, headers in keys.items():
                    data = request(
                        method, path, {**token, **headers, "X-Forwarded-Uri": "/v1/search", "X-Forwarded-Method": "GET"}
                    )
                    yield Exchange(
                        f"{method} {path} token {token_name} key {key_name}", [data], is_head=method == "HEAD"
                    )


def _post(credentials: Credentials, path: str, body: bytes, more: list[tuple[str, str]] | None = None) -> bytes:
    headers = [("Content-Type", "application/json"), ("Authorization", f"Bearer {credentials.token}"), *(more or [])]
    return request("POST", path, headers, body)


def _chunked(credentials: Credentials, path: str, body: bytes) -> bytes:
    pieces = [part for part in (body[:8], body[8:]) if part]
    data = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in pieces) + b"0\r\n\r\n"
    return _post(credentials, path, b"", [("Transfer-Encoding", "chunked")]) + data
