"""Bearer tokens, bodies and Accept, each read in one place."""

import pytest
from starlette.requests import Request
from starlette.types import Message

from portal.core.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PortalError,
    TooManyAttempts,
    Unauthenticated,
    Unavailable,
)
from web.http import accepts_gzip, bearer_token, header_dict, parse_accept, rate_limit_lines, read_body


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer pat_1", "pat_1"),
        ("bEARER  pat_1 ", "pat_1"),
        ("Bearer " + "x" * 200, "x" * 200),
        ("Bearer " + "x" * 201, None),
        ("Bearer ", None),
        ("Bearer", None),
        ("Basic YTpi", None),
        ("pat_1", None),
        ("", None),
    ],
)
def test_a_bearer_token(header: str, token: str | None) -> None:
    assert bearer_token(header) == token


@pytest.mark.parametrize(
    ("chunks", "length", "body"),
    [
        ([b"abc"], None, b"abc"),
        ([b"ab", b"", b"cde"], None, b"abcde"),
        ([b"abc", b"def"], None, None),
        ([], "6", None),
        ([b"abc"], "\u00b2", b"abc"),
        ([b""], "0", b""),
    ],
)
async def test_a_body_up_to_five_bytes(chunks: list[bytes], length: str | None, body: bytes | None) -> None:
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Message:
        return messages.pop(0)

    headers = [] if length is None else [(b"content-length", length.encode("latin-1"))]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    assert await read_body(request, 5) == body


def test_weights_of_what_is_accepted() -> None:
    parsed = [*parse_accept("Text/HTML;level=1;q=0.5, */*;q=x, a/b;q=7, c/d;q=nan, e/f")]
    assert parsed == [("text/html", 0.5), ("*/*", 0.0), ("a/b", 1.0), ("c/d", 0.0), ("e/f", 1.0)]


@pytest.mark.parametrize(
    ("header", "is_accepted"),
    [("gzip", True), ("x-gzip;q=0.1", True), ("*", True), ("gzip;q=0, *", False), ("br", False), ("", False)],
)
def test_gzip_is_accepted(header: str, is_accepted: bool) -> None:
    request = Request({"type": "http", "headers": [(b"accept-encoding", header.encode())]})
    assert accepts_gzip(request) == is_accepted


def test_rate_limit_headers() -> None:
    lines = rate_limit_lines('"burst";q=5;w=1', '"burst"', limit=5, remaining=2, reset_seconds=1)
    assert header_dict(lines) == {
        "RateLimit-Policy": '"burst";q=5;w=1',
        "RateLimit": '"burst";r=2;t=1',
        "X-RateLimit-Limit": "5",
        "X-RateLimit-Remaining": "2",
        "X-RateLimit-Reset": "1",
    }


def test_each_error_has_its_status() -> None:
    kinds = (Unauthenticated, Forbidden, NotFound, Conflict, Invalid, TooManyAttempts, Unavailable, PortalError)
    assert [kind.http_status for kind in kinds] == [401, 403, 404, 409, 422, 429, 503, 500]
