"""Hostile requests: other methods, bodies and types than GraphQL over HTTP has. Each would create a key if it ran."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

CREATE = 'mutation { createKey(input: {name: "Attack"}) { __typename } }'
BODY = json.dumps({"query": CREATE}).encode()


@dataclass(frozen=True)
class Sent:
    name: str
    status: int
    body: bytes = BODY
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    method: str = "POST"
    query: str = ""
    by_cookie: bool = False


def requests() -> list[Sent]:
    families = (gets, forms, types, batches, broken, cross_site)
    return [sent for family in families for sent in family()]


def gets() -> Iterator[Sent]:
    """A mutation by GET, in every spelling."""
    named = f"query A {{ __typename }} {CREATE.replace('mutation', 'mutation B')}"
    for number, query in enumerate(
        (
            f"query={quote(CREATE)}",
            f"query={quote(CREATE)}&variables=%7B%7D",
            f"query={quote(named)}&operationName=B",
            f"query={quote('  ,,# x' + chr(10) + CREATE)}",
            f"query={quote('{ __typename }')}&query={quote(CREATE)}",
        )
    ):
        yield Sent(f"get-mutation-{number}", 405, b"", {}, "GET", query)
        yield Sent(f"get-mutation-cookie-{number}", 405, b"", {}, "GET", query, by_cookie=True)
    for number, query in enumerate(
        ("", "query=", "query=%7B__typename%7D&variables=%7B", "query=%7B__typename%7D&variables=[]",
         "query=%7B__typename%7D&extensions=7", "variables=%7B%7D", "query=%7Ba%7D&variables=" + "[" * 5_000)
    ):  # fmt: skip
        yield Sent(f"get-broken-{number}", 400, b"", {}, "GET", query)


def forms() -> Iterator[Sent]:
    """What a form of any other site can send without being asked first."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    parts = f'--x\r\nContent-Disposition: form-data; name="query"\r\n\r\n{CREATE}\r\n--x--\r\n'.encode()
    upload = (
        '--x\r\nContent-Disposition: form-data; name="operations"\r\n\r\n'
        + json.dumps({"query": CREATE})
        + '\r\n--x\r\nContent-Disposition: form-data; name="map"\r\n\r\n{}\r\n--x--\r\n'
    ).encode()
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    for by_cookie in (False, True):
        suffix = "-cookie" if by_cookie else ""
        # With the cookie it is refused for where it comes from, before anybody looks at what it is.
        status = 403 if by_cookie else 415
        yield Sent(f"form{suffix}", status, f"query={quote(CREATE)}".encode(), form, by_cookie=by_cookie)
        yield Sent(f"form-json{suffix}", status, BODY, form, by_cookie=by_cookie)
        yield Sent(f"multipart{suffix}", status, parts, multipart, by_cookie=by_cookie)
        yield Sent(f"upload{suffix}", status, upload, multipart, by_cookie=by_cookie)
        yield Sent(f"text{suffix}", status, BODY, {"Content-Type": "text/plain"}, by_cookie=by_cookie)
    smuggled = {"Content-Type": "text/plain; x=application/json"}
    yield Sent("text-smuggled", 415, BODY, smuggled)


def types() -> Iterator[Sent]:
    for number, kind in enumerate(
        (
            "",
            "application",
            "application/graphql",
            "application/graphql-response+json",
            "application/json5",
            "application/jsonp",
            "application/x-json",
            "application/json; charset=utf-16",
            "application/json; charset=latin-1",
            "application/json; charset=utf-8; x=y",
            "application/json, text/plain",
            "text/json",
            "text/html",
            "text/plain, application/json",
            "application/vnd.api+json",
            "application/msgpack",
            "application/xml",
            "*/*",
            "json",
        )
    ):
        yield Sent(f"type-{number}", 415, BODY, {"Content-Type": kind})
    yield Sent("type-none", 415, BODY, {})


def batches() -> Iterator[Sent]:
    one = {"query": CREATE}
    for number, batch in enumerate(([], [one], [one] * 2, [one] * 100, [[one]], [None], [CREATE], [one, {}])):
        yield Sent(f"batch-{number}", 400, json.dumps(batch).encode())


def broken() -> Iterator[Sent]:
    quoted = json.dumps(CREATE)
    for number, body in enumerate(
        (
            b"",
            b"{",
            b"null",
            b"true",
            b"7",
            b'"text"',
            b"\xff\xfe",
            BODY[:-1],
            BODY + b"}",
            BODY + BODY,
            b"\xef\xbb\xbf" + BODY,
            BODY.decode().encode("utf-16"),
            b"[" * 90_000,
            b'{"a":' * 15_000,
            b"{}",
            b'{"query": null}',
            b'{"query": 7}',
            b'{"query": ["{ __typename }"]}',
            b'{"query": {"a": 1}}',
            b'{"documentId": "sha256:abc"}',
            b'{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "abc"}}}',
            f'{{"query": {quoted}, "variables": []}}'.encode(),
            f'{{"query": {quoted}, "variables": "x"}}'.encode(),
            f'{{"query": {quoted}, "variables": 7}}'.encode(),
            f'{{"query": {quoted}, "operationName": 7}}'.encode(),
            f'{{"query": {quoted}, "operationName": []}}'.encode(),
            f'{{"query": {quoted}, "extensions": []}}'.encode(),
            f'{{"query": {quoted}, "extensions": "x"}}'.encode(),
            f'{{"query": {quoted}, "variables": NaN}}'.encode(),
        )
    ):
        yield Sent(f"broken-{number}", 400, body)
    yield Sent("large", 413, b'{"query": "' + b"x" * 100_000 + b'"}')
    yield Sent("large-spaces", 413, b" " * 100_000 + BODY)


def cross_site() -> Iterator[Sent]:
    """Our cookie, sent along by a page that is not ours."""
    json_type = {"Content-Type": "application/json"}
    for number, headers in enumerate(
        (
            {},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1"},
            {"Origin": "http://127.0.0.1:8000.evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8000"},
        )
    ):
        yield Sent(f"cross-site-{number}", 403, BODY, {**json_type, **headers}, by_cookie=True)
