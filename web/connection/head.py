"""The head of a request, parsed as RFC 9112 and RFC 9110 say: what they call malformed is refused, nothing is repaired.

One parser decides for every route, so that no two parts of the portal, and no proxy in front of it, read the same bytes
as different requests.
"""

import re
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote

import msgspec

from web.connection.limits import MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_HEADERS

Headers = list[tuple[bytes, bytes]]
END_OF_HEAD = b"\r\n\r\n"
MAX_LENGTH_DIGITS = 18
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb"{1,20}) ([\x21\x22\x24-\x7e]+) HTTP/([0-9])\.([0-9])")
# No two repetitions in it match the same byte: that would take quadratic time over a long run of blanks.
HEADER_LINE = re.compile(rb"(" + _TOKEN + rb"+):([\x20-\x7e\x80-\xff\t]*)")
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]*)(?::[0-9]{0,5})?")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]+)([^?]*)(.*)")
_IMPOSSIBLE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n|\Z)")
"""What no head can hold: control characters, and line ends that are not CR LF."""
_SINGLE = frozenset(
    {
        b"host",
        b"content-length",
        b"content-type",
        b"content-encoding",
        b"transfer-encoding",
        b"authorization",
        b"expect",
        b"idempotency-key",
        b"x-portal-token",
    }
)
"""Headers that mean one thing: which of two is meant is not guessed."""
_IDENTITY = frozenset({b"", b"identity"})


class Refused(Exception):
    """This request is not served; the answer is a problem document, and the connection ends with it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail

        self.title = HTTPStatus(status).phrase

    @property
    def document(self) -> bytes:
        """The body of the answer (RFC 9457)."""
        return msgspec.json.encode(
            {"type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail}
        )


class Head(NamedTuple):
    """What a head says. `length` is 0 without a body and for a chunked one; `target` is the path before decoding."""

    method: str
    target: bytes
    path: str
    query: bytes
    version: str
    headers: Headers
    length: int
    is_chunked: bool
    is_last: bool
    expects_continue: bool
    opens_socket: bool


def parse_head(data: bytes) -> Head:
    """Parse a head, up to and without the empty line. Raises Refused."""
    first, *lines = data.split(b"\r\n")
    method, target, version = _parse_request_line(first)
    if len(lines) > MAX_HEADERS:
        raise Refused(431, f"A request has at most {MAX_HEADERS} headers.")
    headers = [_parse_line(line) for line in lines]
    values: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in values and name in _SINGLE:
            raise Refused(400, f"There is more than one {name.decode()} header.")
        values[name] = value if name not in values else values[name] + b"," + value
    path, query = _parse_target(method, target, headers)
    _check_host(values, version)
    length, is_chunked = _parse_framing(values, version)
    connection = _parse_list(values.get(b"connection", b""))
    opens_socket = (
        method == b"GET"
        and version == "1.1"
        and length == 0
        and not is_chunked
        and b"upgrade" in connection
        and b"websocket" in _parse_list(values.get(b"upgrade", b""))
    )
    return Head(
        method.decode(),
        path,
        unquote(path.decode()),
        query,
        version,
        headers,
        length,
        is_chunked,
        b"close" in connection or version == "1.0",
        _expects_continue(values, version),
        opens_socket,
    )


def find_fault(data: bytes) -> Refused | None:
    """Return why bytes that hold no whole head yet can become none, or None. They may begin with empty lines."""
    if _IMPOSSIBLE.search(data) is not None:
        return Refused(400, "A head consists of lines of text that end with CR LF.")
    first, end, _ = data.lstrip(b"\r\n").partition(b"\r\n")
    if end:
        try:
            _parse_request_line(first)
        except Refused as refused:
            return refused
    if len(data) <= MAX_HEAD_BYTES:
        return None
    if len(first) > MAX_HEAD_BYTES:
        return Refused(414, f"A request line with its headers has at most {MAX_HEAD_BYTES} bytes.")
    return Refused(431, f"A request line with its headers has at most {MAX_HEAD_BYTES} bytes.")


def check_trailer(line: bytes) -> None:
    """Refuse what is no header line. A trailer is never a header (RFC 9110, 6.5.1), so nobody gets it."""
    _parse_line(line)


def _parse_request_line(line: bytes) -> tuple[bytes, bytes, str]:
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise Refused(400, "The first line is a method, a target and HTTP/1.1, with one space between them.")
    method, target, major, minor = match.groups()
    if major in (b"2", b"3"):
        raise Refused(505, "This server speaks HTTP/1.1 and HTTP/1.0.")
    if major != b"1":
        raise Refused(400, "There is no such version of HTTP.")
    return method, target, "1.0" if minor == b"0" else "1.1"


def _parse_line(line: bytes) -> tuple[bytes, bytes]:
    match = HEADER_LINE.fullmatch(line)
    if match is None:
        raise Refused(400, "A header is a name, a colon and a value of visible characters, on one line.")
    return match[1].lower(), match[2].strip(b" \t")


def _parse_target(method: bytes, target: bytes, headers: Headers) -> tuple[bytes, bytes]:
    """Return path and query. An absolute target takes the place of the Host header (RFC 9112, 3.2.2)."""
    if target.startswith(b"/"):
        path, _, query = target.partition(b"?")
        return path, query
    if target == b"*" and method == b"OPTIONS":
        return target, b""
    match = _ABSOLUTE.fullmatch(target)
    if match is None or _HOST.fullmatch(match[1]) is None:
        raise Refused(400, "The target of a request is a path, or http:// with a host and a path.")
    for position, (name, _) in enumerate(headers):
        if name == b"host":
            headers[position] = (name, match[1])
    return match[2] or b"/", match[3][1:]


def _check_host(values: dict[bytes, bytes], version: str) -> None:
    host = values.get(b"host")
    if host is None and version == "1.1":
        raise Refused(400, "There is no Host header.")
    if host is not None and _HOST.fullmatch(host) is None:
        raise Refused(400, "The Host header names no host.")


def _parse_framing(values: dict[bytes, bytes], version: str) -> tuple[int, bool]:
    """Return the length of the body, and whether it is chunked instead."""
    coding, length = values.get(b"transfer-encoding"), values.get(b"content-length")
    if values.get(b"content-encoding", b"").lower() not in _IDENTITY:
        raise Refused(415, "Bodies are taken as they are: send this one without Content-Encoding.")
    if coding is not None:
        if length is not None:
            raise Refused(400, "A body has a Content-Length or a Transfer-Encoding, not both.")
        if version == "1.0":
            raise Refused(400, "There is no Transfer-Encoding in HTTP/1.0.")
        codings = _parse_list(coding)
        if not codings or codings[-1] != b"chunked" or b"chunked" in codings[:-1]:
            raise Refused(400, "The last transfer coding of a request is chunked, once.")
        if len(codings) > 1:
            raise Refused(501, "There is no transfer coding but chunked.")
        return 0, True
    if length is None:
        return 0, False
    if not length.isdigit():
        raise Refused(400, "Content-Length is a number.")
    if len(length) > MAX_LENGTH_DIGITS or int(length) > MAX_BODY_BYTES:
        raise Refused(413, f"A body has at most {MAX_BODY_BYTES} bytes.")
    return int(length), False


def _expects_continue(values: dict[bytes, bytes], version: str) -> bool:
    expected = values.get(b"expect")
    if expected is None or version == "1.0":
        return False
    if expected.lower() != b"100-continue":
        raise Refused(417, "Nothing can be expected but 100-continue.")
    return True


def _parse_list(value: bytes) -> list[bytes]:
    return [part for piece in value.lower().split(b",") if (part := piece.strip(b" \t"))]
