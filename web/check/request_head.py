"""The head of a plain check request, remembered by its bytes: a gateway sends the same one over and over.

Whatever is not plain (chunked, Expect, an upgrade, a query, HTTP/1.0, another method or path, or malformed) is None
here and for HttpProtocol to serve or to refuse. Both go by the same parser.
"""

from typing import NamedTuple

from web.check.handler import MAX_BODY, is_json
from web.connection.head import Refused, parse_head
from web.http.bearer import bearer_token

MAX_REMEMBERED = 4096
MAX_REMEMBERED_BYTES = 2048
_START = tuple(b"POST %s HTTP/1.1\r\n" % path.encode() for path in MAX_BODY)
_remembered: dict[bytes, "RequestHead | None"] = {}


class RequestHead(NamedTuple):
    """`token` is the bearer token, None without one."""

    path: str
    length: int
    token: str | None
    is_json: bool
    is_last: bool


def parse_check_head(head: bytes) -> RequestHead | None:
    """Parse a head, up to and without the empty line. None when the lane does not answer it."""
    try:
        return _remembered[head]
    except KeyError:
        if not head.startswith(_START):
            return None
        parsed = _parse(head)
        if len(head) <= MAX_REMEMBERED_BYTES:
            if len(_remembered) >= MAX_REMEMBERED:
                _remembered.clear()
            _remembered[head] = parsed
        return parsed


def _parse(data: bytes) -> RequestHead | None:
    try:
        head = parse_head(data)
    except Refused:
        return None
    headers = dict(head.headers)
    if head.is_chunked or head.expects_continue or b"content-length" not in headers or b"upgrade" in headers:
        return None
    return RequestHead(
        head.path,
        head.length,
        bearer_token(headers.get(b"authorization", b"").decode("latin-1")),
        is_json(headers.get(b"content-type", b"").decode("latin-1")),
        head.is_last,
    )
