"""The head of a check request: request line and headers, parsed strictly, remembered by its bytes.

A gateway sends the same head over and over, so nearly every one is a dictionary look-up. Whatever is not plain
(chunked, Expect, doubled or folded headers, HTTP/1.0, another method or path) is not ours: None, and uvicorn's own
protocol takes the connection over and answers it, malformed or not.
"""

import re
from typing import NamedTuple

from web.check.handler import MAX_BODY, is_json
from web.http.bearer import bearer_token

MAX_REMEMBERED = 4096
MAX_DIGITS = 9
# No two repetitions in it match the same byte: that would take quadratic time over a long run of blanks.
_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\x20-\x7e\x80-\xff\t]*)")
_REQUEST = re.compile(rb"[A-Z]{1,20} \S{1,16384} HTTP/1\.[01]\r?")
_UNUSUAL = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"content-encoding"})
_START = {b"POST %s HTTP/1.1" % path.encode(): path for path in MAX_BODY}
_remembered: dict[bytes, "RequestHead | None"] = {}


class RequestHead(NamedTuple):
    """`token` is the bearer token, None without one."""

    path: str
    length: int
    token: str | None
    is_json: bool
    is_last: bool


def parse_head(head: bytes) -> RequestHead | None:
    """Parse a head, up to and without the empty line. None when CheckProtocol does not answer it."""
    try:
        return _remembered[head]
    except KeyError:
        parsed = _parse(head)
        if len(_remembered) >= MAX_REMEMBERED:
            _remembered.clear()
        _remembered[head] = parsed
        return parsed


def could_match(data: bytes) -> bool:
    """Return whether bytes that have no complete head yet can still become a check request."""
    return any(start.startswith(data[: len(start)]) for start in _START)


def is_complete(data: bytes) -> bool:
    """Return whether a head that is not ours is all there, or can already be seen to be none."""
    first, end, _ = data.partition(b"\n")
    return b"\n\n" in data or b"\n\r\n" in data or (bool(end) and _REQUEST.fullmatch(first) is None)


def _parse(head: bytes) -> RequestHead | None:
    first, *lines = head.split(b"\r\n")
    path = _START.get(first)
    if path is None:
        return None
    headers: dict[bytes, str] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        name = match[1].lower() if match else b""
        if match is None or name in headers or name in _UNUSUAL:
            return None
        headers[name] = match[2].strip(b" \t").decode("latin-1")
    length = headers.get(b"content-length", "")
    if b"host" not in headers or not length.isascii() or not length.isdigit() or len(length) > MAX_DIGITS:
        return None
    connection = headers.get(b"connection", "keep-alive").lower()
    if connection not in {"keep-alive", "close"}:
        return None
    return RequestHead(
        path,
        int(length),
        bearer_token(headers.get(b"authorization", "")),
        is_json(headers.get(b"content-type", "")),
        connection == "close",
    )
