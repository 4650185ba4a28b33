"""Requests of everything beside the check: GraphQL, external usage, exports, health, files, forms of strangers."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.recordings.wire import Exchange, as_json, request

JSON = {"Content-Type": "application/json"}
NOW = datetime.now(UTC).replace(microsecond=0)
VIEWER = "{ viewer { person { name email isStaff } account { name timeZone } role permissions memberships { role } } }"
QUERIES: dict[str, str] = {
    **dict(line.split(": ", 1) for line in Path(__file__).with_name("queries.txt").read_text().splitlines()),
    "deep": "{ node(id: 1) " + "{ ... on Key " * 40 + "{ id }" + " }" * 41,
    "aliases": "{ " + " ".join(f"a{number}: __typename" for number in range(200)) + " }",
    "directives": "{ __typename " + "@skip(if: false) " * 60 + "}",
    "tokens many": "{ " + "__typename " * 3000 + "}",
    "characters": "{ __typename } # " + "x" * 15_001,
}
CREATE = (
    'mutation { createKey(input: {name: "Recorded", scopes: ["a:b"]})'
    " { __typename ... on CreatedKey { key { id name } secret } } }"
)
ODD: tuple[Any, ...] = (None, 1, "", "x", [], {}, "é" * 300)
ACCEPTS = (
    "*/*", "application/json", "application/graphql-response+json",
    "application/graphql-response+json, application/json;q=0.9",
    "application/json, application/graphql-response+json;q=0.5", "text/html", "text/event-stream", "image/png",
    "application/json;q=0", ",;=",
)  # fmt: skip


def browser_exchanges(ready: dict[str, Any]) -> Iterator[Exchange]:
    tokens = {name: login["token"] for name, login in sorted(ready["logins"].items())}
    yield from _queries(tokens)
    for part in (_graphql_accepts, _graphql_bodies, _graphql_callers, _graphql_streams):
        yield from part(tokens["developer"])
    yield from _events(ready)
    yield from _exports(tokens["developer"])
    yield from _addresses()
    yield from _strange_forms()


def _queries(tokens: dict[str, str]) -> Iterator[Exchange]:
    for who, token in {"anonymous": None, **tokens}.items():
        headers = {**JSON, **({"Authorization": f"Bearer {token}"} if token else {})}
        for name, query in QUERIES.items():
            body = as_json({"query": query})
            yield Exchange(f"graphql {who} {name}", [request("POST", "/graphql", headers, body)], shows_counts=True)


def _graphql_accepts(token: str) -> Iterator[Exchange]:
    bearer = {"Authorization": f"Bearer {token}"}
    for accept in ACCEPTS:
        for name, query in {"good": "{ __typename }", "bad": "{ nothing }"}.items():
            headers, target = {**bearer, "Accept": accept}, "/graphql?" + urlencode({"query": query})
            yield Exchange(
                f"accept {accept} {name} by POST",
                [request("POST", "/graphql", {**headers, **JSON}, as_json({"query": query}))],
            )
            if accept != "text/html":
                yield Exchange(f"accept {accept} {name} by GET", [request("GET", target, headers)])


def _graphql_bodies(token: str) -> Iterator[Exchange]:
    bearer = {"Authorization": f"Bearer {token}"}
    bodies: dict[str, Any] = {
        "no query": {}, "null query": {"query": None}, "number": {"query": 1}, "list": [{"query": "{ __typename }"}],
        "empty": {"query": ""},
        "variables list": {"query": "{ __typename }", "variables": []}, "variables text": {"query": "{ __typename }",
        "variables": "{}"},
        "name wrong": {"query": QUERIES["named"], "operationName": "C"}, "name": {"query": QUERIES["named"],
        "operationName": "A"},
        "name missing": {"query": QUERIES["named"]}, "name number": {"query": "{ __typename }", "operationName": 1},
        "extensions": {"query": "{ __typename }", "extensions": {}}, "more": {"query": "{ __typename }", "more": 1},
        "no json": b"{", "no utf-8": b"\xff",
        "large": {"query": "{ __typename }", "variables": {"a": "x" * 100_001}},
        "deep variables": b'{"query":"{__typename}","variables":' + b"[" * 900,
    }  # fmt: skip
    for name, body in bodies.items():
        yield Exchange(f"body {name}", [request("POST", "/graphql", {**bearer, **JSON}, as_json(body))])
    for kind in (
        "text/plain",
        "application/json; charset=utf-8",
        "application/json; charset=utf-16",
        "application/graphql",
        "",
    ):
        data = request("POST", "/graphql", {**bearer, "Content-Type": kind}, as_json({"query": "{ __typename }"}))
        yield Exchange(f"type {kind or 'empty'}", [data])
    for name, query in {"mutation": CREATE, "none": "", "variables": "query A($a: Int) { __typename }"}.items():
        for more in ({}, {"variables": "{}"}, {"variables": "x"}, {"extensions": "{"}, {"operationName": "A"}):
            target = "/graphql?" + urlencode({"query": query, **more})
            yield Exchange(f"GET {name} {json.dumps(more)}", [request("GET", target, bearer)])
    for value in ("recorded-1", "recorded-1", "", "x" * 256, "é"):
        data = request("POST", "/graphql", {**bearer, **JSON, "Idempotency-Key": value}, as_json({"query": CREATE}))
        yield Exchange(f"idempotency {value[:12]}", [data])
    yield Exchange("idempotency other content", [
        request("POST", "/graphql", {**bearer, **JSON, "Idempotency-Key": "recorded-1"},
        as_json({"query": CREATE.replace("Recorded", "Other")}))
    ])  # fmt: skip


def _graphql_callers(token: str) -> Iterator[Exchange]:
    bearer = {"Authorization": f"Bearer {token}"}
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD"):
        yield Exchange(f"{method} /graphql", [request(method, "/graphql", bearer)], is_head=method == "HEAD")
    for name, value in {
        "wrong": "Bearer pat_" + "x" * 43,
        "service": "Bearer svc_" + "x" * 43,
        "basic": "Basic eA==",
        "empty": "",
    }.items():
        data = request("POST", "/graphql", {**JSON, "Authorization": value}, as_json({"query": VIEWER}))
        yield Exchange(f"authorization {name}", [data])
    for origin in ("https://elsewhere.example", "null", "http://portal.test"):
        data = request(
            "POST", "/graphql", {**JSON, "Origin": origin, "Cookie": "session=x"}, as_json({"query": VIEWER})
        )
        yield Exchange(f"origin {origin}", [data])


def _graphql_streams(token: str) -> Iterator[Exchange]:
    bearer = {"Authorization": f"Bearer {token}"}
    for name, query in {
        "one": "{ __typename }",
        "error": "{ nothing }",
        "live": "subscription { keyChanged { number } }",
    }.items():
        for path in ("/graphql", "/graphql/stream"):
            headers = {**bearer, **JSON, "Accept": "text/event-stream"}
            yield Exchange(f"stream {path} {name}", [request("POST", path, headers, as_json({"query": query}))])
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    for protocol in ("graphql-transport-ws", "graphql-ws", ""):
        for origin in ("http://portal.test", "https://elsewhere.example"):
            headers = {
                **bearer,
                **upgrade,
                "Origin": origin,
                **({"Sec-WebSocket-Protocol": protocol} if protocol else {}),
            }
            yield Exchange(f"socket {protocol or 'none'} {origin}", [request("GET", "/graphql", headers)])


def _events(ready: dict[str, Any]) -> Iterator[Exchange]:
    account = ready["logins"]["developer"]["account_id"]
    good: dict[str, Any] = {
        "specversion": "1.0", "id": "job-1", "source": "/recordings", "type": "com.example.rendered",
        "subject": account,
        "time": NOW.isoformat(), "data": {"resource": "render", "cost": 3},
    }  # fmt: skip
    bearer, one, many = (
        {"Authorization": f"Bearer {ready['service_token']}"},
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
    )
    bodies: list[tuple[str, str, Any]] = [
        ("good", one, good),
        ("again", one, good),
        ("conflict", one, {**good, "data": {"cost": 4}}),
    ]
    for field in good:
        bodies.append((f"without {field}", one, {name: value for name, value in good.items() if name != field}))
        bodies += [(f"{field} {number}", one, {**good, field: value}) for number, value in enumerate(ODD)]
    for name, time in {"late": NOW - timedelta(days=400), "future": NOW + timedelta(days=3)}.items():
        bodies.append((name, one, {**good, "id": name, "time": time.isoformat()}))
    bodies += [
        (f"cost {cost}", one, {**good, "id": f"cost {cost}", "data": {"cost": cost}})
        for cost in (0, -1, 1.5, 10**6 + 1, "3")
    ]
    bodies += [
        ("batch", many, [good, {**good, "id": "job-2"}]),
        ("batch mixed", many, [good, {**good, "subject": "acct_x"}, 1]),
    ]
    bodies += [
        ("batch empty", many, []),
        ("batch object", many, good),
        ("batch 1001", many, [good] * 1001),
        ("no json", one, b"{"),
        ("type", "application/json", good),
    ]
    for name, kind, body in bodies:
        yield Exchange(
            f"events {name}", [request("POST", "/usage/events", {**bearer, "Content-Type": kind}, as_json(body))]
        )
    yield Exchange("events without a token", [request("POST", "/usage/events", {"Content-Type": one}, as_json(good))])
    yield Exchange(
        "events too large", [request("POST", "/usage/events", {**bearer, "Content-Type": one}, b" " * 1_048_577)]
    )
    for method in ("GET", "PUT", "HEAD"):
        yield Exchange(f"{method} /usage/events", [request(method, "/usage/events", bearer)], is_head=method == "HEAD")


def _exports(token: str) -> Iterator[Exchange]:
    """Of an hour of long ago, so that the head and the form of the file are seen and no drawn usage."""
    whole = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T01:00:00Z"}
    variants: dict[str, dict[str, str]] = {
        "plain": whole,
        "none": {},
        "no end": {"from": whole["from"]},
        "unknown": {**whole, "a": "b"},
    }
    for name, values in {
        "format": ("csv", "jsonl", "parquet", "xml"), "rows": ("events", "minutes", "quarters", "days", "years"),
        "environment": ("live", "test", "x"),
        "key": ("key_x", ""), "outcome": ("VALID", "x"), "resource": ("GET /v1/search",), "from": ("x",
        "2027-01-01T00:00:00Z", "2026-01-01"),
    }.items():  # fmt: skip
        variants |= {f"{name} {value}": {**whole, name: value} for value in values}
    for name, parameters in variants.items():
        target = "/usage/export?" + urlencode(parameters)
        yield Exchange(f"export {name}", [request("GET", target, {"Authorization": f"Bearer {token}"})])
    for accept in ("text/html", "text/csv"):
        yield Exchange(
            f"export anonymous {accept}", [request("GET", "/usage/export?" + urlencode(whole), {"Accept": accept})]
        )
    yield Exchange(
        "export HEAD",
        [request("HEAD", "/usage/export?" + urlencode(whole), {"Authorization": f"Bearer {token}"})],
        is_head=True,
    )


def _addresses() -> Iterator[Exchange]:
    for path in (
        "/livez",
        "/readyz/check",
        "/readyz/portal",
        "/readyz/check?verbose",
        "/readyz/portal?verbose",
        "/readyz",
        "/healthz",
        "/openapi.json",
    ):
        for method in ("GET", "HEAD", "POST"):
            yield Exchange(f"{method} {path}", [request(method, path, {})], is_head=method == "HEAD")
    files = (
        "app.css",
        "app.js",
        "explorer.css",
        "explorer.js",
        "favicon.svg",
        "vendor/htmx-2.0.11.min.js",
        "nothing.js",
        "../app.py",
        "%2e%2e/app.py",
        "",
        "vendor/",
    )
    for name in files:
        for more in ({}, {"Accept-Encoding": "gzip"}, {"If-None-Match": '"x"'}, {"Range": "bytes=0-9"}):
            yield Exchange(f"static {name} {json.dumps(more)}", [request("GET", f"/static/{name}", more)])
        yield Exchange(f"static {name} HEAD", [request("HEAD", f"/static/{name}", {})], is_head=True)
    for path in (
        "/",
        "/nothing",
        "/keys",
        "/keys/x",
        "/usage",
        "/settings",
        "/invoices/x",
        "/favicon.ico",
        "/robots.txt",
        "/.env",
        "/%ff",
        "/a//b",
        "/keys/",
    ):
        for more in (
            {},
            {"HX-Request": "true"},
            {"Accept": "application/json"},
            {"Accept-Encoding": "gzip", "Cookie": "session=x"},
        ):
            yield Exchange(f"anonymous {path} {json.dumps(more)}", [request("GET", path, more)])


def _strange_forms() -> Iterator[Exchange]:
    """Forms that no page of ours sent: none may act."""
    fields = {"email": "nobody@example.org", "password": "wrong-password", "csrf": "00" * 64, "next": "/"}
    origins: dict[str, dict[str, str]] = {
        "none": {}, "own": {"Origin": "http://portal.test"}, "other": {"Origin": "https://elsewhere.example"},
        "null": {"Origin": "null"},
        "same-origin": {"Sec-Fetch-Site": "same-origin"}, "cross-site": {"Sec-Fetch-Site": "cross-site"},
        "same-site": {"Sec-Fetch-Site": "same-site"},
    }  # fmt: skip
    kinds = ("application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=x", "")
    for path in ("/sign-in", "/sign-up", "/sign-out", "/keys/new", "/plan", "/settings/tokens"):
        for name, headers in origins.items():
            data = request("POST", path, {**headers, "Content-Type": kinds[0]}, urlencode(fields).encode())
            yield Exchange(f"form {path} origin {name}", [data])
        for kind in kinds:
            data = request("POST", path, {**origins["own"], "Content-Type": kind}, urlencode(fields).encode())
            yield Exchange(f"form {path} type {kind or 'none'}", [data])
        yield Exchange(f"form {path} DELETE", [request("DELETE", path, {})])
    large = request("POST", "/sign-in", {**origins["own"], "Content-Type": kinds[0]}, b"a=" + b"x" * 300_000)
    yield Exchange("form too large", [large])
