"""What HTTP/1.1 allows and what it does not, as changes to a request that is served. RFC 9112 unless said otherwise.

A case says how a request is changed, and the status it then gets: SERVED for the same as before.
"""

from collections.abc import Callable
from dataclasses import replace

from tests.web.connection.raw import Raw

Change = Callable[[Raw], Raw]
SERVED = 0
MIB = 1024 * 1024


def _line(old: bytes, new: bytes) -> Change:
    return lambda request: request.with_line(old, new)


def _plus(*headers: bytes) -> Change:
    return lambda request: request.plus(*headers)


def _instead(*headers: bytes) -> Change:
    return lambda request: request.instead(*headers)


def _first(header: bytes) -> Change:
    return lambda request: replace(request, headers=(header, *request.headers))


def _bytes(old: bytes, new: bytes) -> Change:
    """Of the whole request, at its first place."""
    return lambda request: Raw(b"", (), request.encode().replace(old, new, 1), b"")


def _before(data: bytes) -> Change:
    return lambda request: replace(request, line=data + request.line)


def _chunks(*chunks: bytes, trailers: bytes = b"") -> Change:
    return lambda request: request.chunked(*chunks, trailers=trailers)


def _good_chunks(make: Callable[[bytes], bytes]) -> Change:
    return lambda request: request.chunked(make(request.body))


def _chunk(body: bytes, size: bytes | None = None, extension: bytes = b"", end: bytes = b"\r\n") -> bytes:
    return (size or b"%x" % len(body)) + extension + b"\r\n" + body + end


def _bytewise(body: bytes) -> bytes:
    return b"".join(b"1\r\n%c\r\n" % byte for byte in body)


HTTP = b" HTTP/1.1"

# 2.2: message parsing; 3: the request line
LINES: list[tuple[str, Change, int]] = [
    ("one empty line before", _before(b"\r\n"), SERVED),
    ("three empty lines before", _before(b"\r\n" * 3), SERVED),
    ("a hundred empty lines before", _before(b"\r\n" * 100), 400),
    ("an empty line of LF before", _before(b"\n"), 400),
    ("a blank before", _before(b" "), 400),
    ("bare LF everywhere", lambda request: replace(request, newline=b"\n"), 400),
    ("bare CR everywhere", lambda request: replace(request, newline=b"\r", body=b"\r\n\r\n"), 400),
    ("bare LF after the first line", _bytes(HTTP + b"\r\n", HTTP + b"\n"), 400),
    ("CR CR LF after the first line", _bytes(HTTP + b"\r\n", HTTP + b"\r\r\n"), 400),
    ("NUL in the first line", _line(b" HTTP", b"\0 HTTP"), 400),
    ("two blanks after the method", _bytes(b" ", b"  "), 400),
    ("two blanks before the version", _line(HTTP, b"  HTTP/1.1"), 400),
    ("a tab after the method", _bytes(b" ", b"\t"), 400),
    ("a tab before the version", _line(HTTP, b"\tHTTP/1.1"), 400),
    ("a blank after the version", _line(HTTP, HTTP + b" "), 400),
    ("no version", _line(HTTP, b""), 400),
    ("a version in lower case", _line(b"HTTP", b"http"), 400),
    ("HTTP/1", _line(b"HTTP/1.1", b"HTTP/1"), 400),
    ("HTTP/1.1.1", _line(b"HTTP/1.1", b"HTTP/1.1.1"), 400),
    ("HTTP/11.1", _line(b"HTTP/1.1", b"HTTP/11.1"), 400),
    ("HTTP/1.10", _line(b"HTTP/1.1", b"HTTP/1.10"), 400),
    ("HTTP/0.9", _line(b"HTTP/1.1", b"HTTP/0.9"), 400),
    ("HTTP/2.0 (RFC 9110, 15.6.6)", _line(b"HTTP/1.1", b"HTTP/2.0"), 505),
    ("HTTP/3.0", _line(b"HTTP/1.1", b"HTTP/3.0"), 505),
    ("HTTP/9.9", _line(b"HTTP/1.1", b"HTTP/9.9"), 400),
    ("a minor version to come (RFC 9110, 2.5)", _line(b"HTTP/1.1", b"HTTP/1.2"), SERVED),
    ("HTTQ/1.1", _line(b"HTTP", b"HTTQ"), 400),
    ("no target", lambda request: replace(request, line=request.line.split()[0] + HTTP), 400),
    ("a target without a slash", _bytes(b" /", b" "), 400),
    ("a fragment", _line(HTTP, b"#a" + HTTP), 400),
    ("a control character in the target", _line(HTTP, b"\x01" + HTTP), 400),
    ("DEL in the target", _line(HTTP, b"\x7f" + HTTP), 400),
    ("a byte above ASCII in the target", _line(HTTP, b"\xff" + HTTP), 400),
    ("an absolute target (3.2.2)", _bytes(b" /", b" http://portal/"), SERVED),
    ("an absolute target with a port", _bytes(b" /", b" http://portal:80/"), SERVED),
    ("an absolute target of https", _bytes(b" /", b" HTTPS://portal/"), SERVED),
    ("an absolute target without a host", _bytes(b" /", b" http:///"), 400),
    ("an absolute target with a user", _bytes(b" /", b" http://a@portal/"), 400),
    ("an absolute target of another scheme", _bytes(b" /", b" ftp://portal/"), 400),
    ("the method in brackets", _before(b"("), 400),
    ("a method with a colon", _before(b"A:"), 400),
    ("a method of a control character", _before(b"\x02"), 400),
    ("a method of 21 characters", _before(b"M" * 21), 400),
    ("CONNECT", lambda request: replace(request, line=b"CONNECT portal:443 HTTP/1.1"), 400),
    ("* without OPTIONS", lambda request: replace(request, line=b"GET * HTTP/1.1"), 400),
    ("the preface of HTTP/2", lambda request: replace(request, line=b"PRI * HTTP/2.0"), 505),
    ("TLS", lambda _: Raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 400),
    ("something else", lambda _: Raw(b"SSH-2.0-OpenSSH_9.2"), 400),
    ("a target of 20,000 bytes", _line(HTTP, b"?" + b"a" * 20_000 + HTTP), 414),
]

# 5: header lines; RFC 9110, 5
HEADERS: list[tuple[str, Change, int]] = [
    ("a blank before a colon", _plus(b"X-A : b"), 400),
    ("a tab before a colon", _plus(b"X-A\t: b"), 400),
    ("no colon", _plus(b"X-A"), 400),
    ("no name", _plus(b": b"), 400),
    ("a blank in a name", _plus(b"X A: b"), 400),
    ("a byte above ASCII in a name", _plus(b"X-\xff: b"), 400),
    ("a control character in a name", _plus(b"X-\x01: b"), 400),
    ("brackets in a name", _plus(b"X(a): b"), 400),
    ("a folded line", _plus(b"X-A: b", b" c"), 400),
    ("a line folded by a tab", _plus(b"X-A: b", b"\tc"), 400),
    ("a folded line first", _first(b" X-A: b"), 400),
    ("a line of blanks", _plus(b"  "), 400),
    ("NUL in a value", _plus(b"X-A: b\0c"), 400),
    ("a control character in a value", _plus(b"X-A: b\x01c"), 400),
    ("DEL in a value", _plus(b"X-A: b\x7fc"), 400),
    ("CR in a value", _plus(b"X-A: b\rc"), 400),
    ("LF in a value", _plus(b"X-A: b\nX-B: c"), 400),
    ("ESC in a value", _plus(b"X-A: \x1b[31m"), 400),
    ("an empty value", _plus(b"X-A:"), SERVED),
    ("a value of blanks", _plus(b"X-A: \t "), SERVED),
    ("no blank after the colon", _plus(b"X-A:b"), SERVED),
    ("blanks around a value", _plus(b"X-A: \t b \t"), SERVED),
    ("a tab in a value", _plus(b"X-A: b\tc"), SERVED),
    ("bytes above ASCII in a value", _plus(b"X-A: \xc3\xbc\xff"), SERVED),
    ("every character of a token in a name", _plus(b"!#$%&'*+-.^_`|~09Az: b"), SERVED),
    (
        "a name in upper case",
        lambda r: replace(r, headers=tuple(h.replace(b"Host", b"HOST") for h in r.headers)),
        SERVED,
    ),
    ("another header twice", _plus(b"X-A: b", b"X-A: c"), SERVED),
    ("lists twice", _plus(b"Accept-Language: de", b"Connection: keep-alive", b"Connection: x-a"), SERVED),
    ("90 headers", _plus(*[b"X-%d: b" % number for number in range(90)]), SERVED),
    ("101 headers", _plus(*[b"X-%d: b" % number for number in range(101)]), 431),
    ("4,000 headers", _plus(*[b"a:b"] * 4000), 431),
    ("a header of 12,000 bytes", _plus(b"X-A: " + b"b" * 12_000), SERVED),
    ("a header of 17,000 bytes", _plus(b"X-A: " + b"b" * 17_000), 431),
    ("a name of 17,000 bytes", _plus(b"b" * 17_000 + b": a"), 431),
    ("Authorization twice (RFC 9110, 5.3)", _plus(b"Authorization: Bearer a", b"Authorization: Bearer b"), 400),
    ("Content-Type twice", _plus(b"Content-Type: text/plain", b"Content-Type: application/json"), 400),
    ("Idempotency-Key twice", _plus(b"Idempotency-Key: a", b"Idempotency-Key: b"), 400),
]

# 3.2: Host
HOSTS: list[tuple[str, Change, int]] = [
    ("no Host", lambda request: request.without(b"Host"), 400),
    ("two Hosts", _plus(b"Host: portal"), 400),
    ("two other Hosts", _plus(b"host: elsewhere"), 400),
    ("an empty Host", _instead(b"Host:"), SERVED),
    ("a Host with a port", _instead(b"Host: portal:8000"), SERVED),
    ("a Host with an empty port", _instead(b"Host: portal:"), SERVED),
    ("a Host of IPv4", _instead(b"Host: 127.0.0.1:80"), SERVED),
    ("a Host of IPv6", _instead(b"Host: [::1]:80"), SERVED),
    ("a Host of IPv6 without brackets", _instead(b"Host: ::1"), 400),
    ("a Host with an underscore", _instead(b"Host: my_portal"), SERVED),
    ("a Host with a path", _instead(b"Host: portal/a"), 400),
    ("a Host with a query", _instead(b"Host: portal?a"), 400),
    ("a Host with a fragment", _instead(b"Host: portal#a"), 400),
    ("a Host with a user", _instead(b"Host: a@portal"), 400),
    ("a Host with a blank", _instead(b"Host: por tal"), 400),
    ("two Hosts in one", _instead(b"Host: portal, elsewhere"), 400),
    ("two Hosts in one without a blank", _instead(b"Host: portal,elsewhere"), 400),
    ("a Host with a backslash", _instead(b"Host: portal\\a"), 400),
    ("a Host with quotes", _instead(b'Host: "portal"'), 400),
    ("a Host with markup", _instead(b"Host: <b>"), 400),
    ("a Host above ASCII", _instead(b"Host: m\xc3\xbcnchen"), 400),
    ("a Host with a long port", _instead(b"Host: portal:123456"), 400),
    ("a Host with a port of letters", _instead(b"Host: portal:http"), 400),
    ("an absolute target beside a wrong Host", lambda r: _bytes(b" /", b" http://portal/")(r.without(b"Host")), 400),
]

# 6: bodies; RFC 9110, 8.6, 10.1.1
BODIES: list[tuple[str, Change, int]] = [
    ("Content-Length: -1", _instead(b"Content-Length: -1"), 400),
    ("Content-Length: +2", _instead(b"Content-Length: +2"), 400),
    ("Content-Length: 0x2", _instead(b"Content-Length: 0x2"), 400),
    ("Content-Length: 2, 2", _instead(b"Content-Length: 2, 2"), 400),
    ("Content-Length: 2 2", _instead(b"Content-Length: 2 2"), 400),
    ("Content-Length: 2.0", _instead(b"Content-Length: 2.0"), 400),
    ("Content-Length: 1e1", _instead(b"Content-Length: 1e1"), 400),
    ("Content-Length: 1_0", _instead(b"Content-Length: 1_0"), 400),
    ("Content-Length of other digits", _instead("Content-Length: ٢".encode()), 400),
    ("Content-Length of superscript", _instead(b"Content-Length: \xb2"), 400),
    ("an empty Content-Length", _instead(b"Content-Length:"), 400),
    ("Content-Length twice, alike", lambda r: r.plus(b"Content-Length: %d" % len(r.body)), 400),
    ("Content-Length twice, different", _plus(b"Content-Length: 0"), 400),
    ("Content-Length with zeros before", lambda r: r.instead(b"Content-Length: 000%d" % len(r.body)), SERVED),
    ("Content-Length with blanks around", lambda r: r.instead(b"Content-Length: \t %d " % len(r.body)), SERVED),
    ("Content-Length of 1 GiB", _instead(b"Content-Length: 1073741824"), 413),
    ("Content-Length of 25 digits", _instead(b"Content-Length: 9999999999999999999999999"), 413),
    ("Content-Length and chunks", lambda r: r.chunked().plus(b"Content-Length: 5"), 400),
    (
        "a length of chunks before",
        lambda r: replace(r.chunked(), headers=(b"Content-Length: 5", *r.chunked().headers)),
        400,
    ),
    ("Transfer-Encoding: identity", _plus(b"Transfer-Encoding: identity"), 400),
    (
        "Transfer-Encoding: identity alone",
        lambda r: r.without(b"Content-Length").plus(b"Transfer-Encoding: identity"),
        400,
    ),
    ("Transfer-Encoding: gzip", lambda r: r.chunked().instead(b"Transfer-Encoding: gzip"), 400),
    ("Transfer-Encoding: gzip, chunked", lambda r: r.chunked().instead(b"Transfer-Encoding: gzip, chunked"), 501),
    ("Transfer-Encoding: chunked, gzip", lambda r: r.chunked().instead(b"Transfer-Encoding: chunked, gzip"), 400),
    ("Transfer-Encoding: chunked, chunked", lambda r: r.chunked().instead(b"Transfer-Encoding: chunked, chunked"), 400),
    ("Transfer-Encoding twice", lambda r: r.chunked().plus(b"Transfer-Encoding: chunked"), 400),
    ("Transfer-Encoding in two lines", lambda r: r.chunked().plus(b"Transfer-Encoding: gzip"), 400),
    ("an empty Transfer-Encoding", lambda r: r.chunked().instead(b"Transfer-Encoding:"), 400),
    ("Transfer-Encoding: xchunked", lambda r: r.chunked().instead(b"Transfer-Encoding: xchunked"), 400),
    ("Transfer-Encoding: chunked;a=b", lambda r: r.chunked().instead(b"Transfer-Encoding: chunked;a=b"), 400),
    ("Transfer-Encoding: CHUNKED", lambda r: r.chunked().instead(b"Transfer-Encoding: CHUNKED"), SERVED),
    ("Transfer-Encoding with commas", lambda r: r.chunked().instead(b"Transfer-Encoding: , chunked ,"), SERVED),
    ("Transfer-Encoding with VT", lambda r: r.chunked().instead(b"Transfer-Encoding: \x0bchunked"), 400),
    ("Transfer-Encoding in HTTP/1.0", lambda r: r.chunked().with_line(b"HTTP/1.1", b"HTTP/1.0"), 400),
    ("Content-Encoding: gzip (RFC 9110, 15.5.16)", _plus(b"Content-Encoding: gzip"), 415),
    ("Content-Encoding: identity", _plus(b"Content-Encoding: identity"), SERVED),
    ("Expect: something (RFC 9110, 15.5.18)", _plus(b"Expect: something"), 417),
    ("Expect: 100-continue", _plus(b"Expect: 100-continue"), SERVED),
    ("Expect: 100-CONTINUE", _plus(b"Expect: 100-CONTINUE"), SERVED),
    ("Expect twice", _plus(b"Expect: 100-continue", b"Expect: 100-continue"), 400),
    ("TE: trailers", _plus(b"TE: trailers", b"Connection: TE"), SERVED),
]

# 7.1: chunks
CHUNKS: list[tuple[str, Change, int]] = [
    ("two chunks", _chunks(), SERVED),
    ("a chunk a byte", _good_chunks(_bytewise), SERVED),
    ("sizes with zeros before", _good_chunks(lambda body: _chunk(body, b"0000%x" % len(body))), SERVED),
    ("sizes in upper case", _good_chunks(lambda body: _chunk(body[:10], b"A") + _chunk(body[10:])), SERVED),
    ("an extension", _good_chunks(lambda body: _chunk(body, extension=b";a=b")), SERVED),
    ("an extension of text", _good_chunks(lambda body: _chunk(body, extension=b' ; a="b c"')), SERVED),
    ("an extension of 300 bytes", _good_chunks(lambda body: _chunk(body, extension=b";" + b"a" * 300)), 400),
    ("an extension with LF", _good_chunks(lambda body: _chunk(body, extension=b";a\nb")), 400),
    ("an extension with NUL", _good_chunks(lambda body: _chunk(body, extension=b";\0")), 400),
    ("no size", _chunks(b"\r\n"), 400),
    ("a size of letters", _chunks(b"zz\r\n{}\r\n"), 400),
    ("a size with 0x", _chunks(b"0x2\r\n{}\r\n"), 400),
    ("a size with a minus", _chunks(b"-2\r\n{}\r\n"), 400),
    ("a size with a plus", _chunks(b"+2\r\n{}\r\n"), 400),
    ("a size with a blank before", _chunks(b" 2\r\n{}\r\n"), 400),
    ("a size with a blank after", _chunks(b"2 \r\n{}\r\n"), 400),
    ("a size with an underscore", _chunks(b"1_0\r\n{}\r\n"), 400),
    ("a size with a point", _chunks(b"2.0\r\n{}\r\n"), 400),
    ("a size with LF alone", _chunks(b"2\n{}\r\n"), 400),
    ("a chunk ended by LF", _chunks(b"2\r\n{}\n"), 400),
    ("a chunk ended by nothing", _chunks(b"2\r\n{}"), 400),
    ("a chunk longer than said", _chunks(b"2\r\n{} \r\n"), 400),
    ("a size of 17 digits", _chunks(b"1" * 17 + b"\r\n{}\r\n"), 400),
    ("a size of 16 digits", _chunks(b"f" * 16 + b"\r\n{}\r\n"), 413),
    ("a size of 2 MiB", _chunks(b"%x\r\n" % (2 * MIB)), 413),
    ("chunks of 2 MiB together", _chunks((b"%x\r\n%b\r\n" % (65536, b" " * 65536)) * 32), 413),
    ("9,000 chunks of a byte", _chunks(b"1\r\n \r\n" * 9000), 400),
    ("a trailer", _chunks(trailers=b"X-A: b\r\n"), SERVED),
    ("a trailer of authorization", _chunks(trailers=b"Authorization: Bearer a\r\n"), SERVED),
    ("a trailer of length", _chunks(trailers=b"Content-Length: 5\r\n"), SERVED),
    ("a trailer of Host", _chunks(trailers=b"Host: elsewhere\r\n"), SERVED),
    ("a trailer that is none", _chunks(trailers=b"nonsense\r\n"), 400),
    ("a folded trailer", _chunks(trailers=b"X-A: b\r\n c\r\n"), 400),
    ("a trailer with LF", _chunks(trailers=b"X-A: b\n"), 400),
    ("a trailer with NUL", _chunks(trailers=b"X-A: \0\r\n"), 400),
    ("101 trailers", _chunks(trailers=b"a: b\r\n" * 101), 431),
    ("a trailer of 17,000 bytes", _chunks(trailers=b"X-A: " + b"b" * 17_000 + b"\r\n"), 431),
    ("1 MiB of trailers", _chunks(trailers=b"X-A: b\r\n" * (MIB // 8)), 431),
]

# RFC 9110, 7.6.1 and 7.8: connections and upgrades
UPGRADES: list[tuple[str, Change, int]] = [
    (
        "h2c as Java's client asks for it",
        _plus(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAAAAIAAAAB"),
        SERVED,
    ),
    ("h2c without Connection", _plus(b"Upgrade: h2c"), SERVED),
    ("h2c in chunks", lambda r: r.chunked().plus(b"Connection: Upgrade", b"Upgrade: h2c"), SERVED),
    ("an upgrade to TLS", _plus(b"Connection: Upgrade", b"Upgrade: TLS/1.0"), SERVED),
    ("an upgrade to several", _plus(b"Connection: upgrade", b"Upgrade: foo/2, bar"), SERVED),
    ("an empty upgrade", _plus(b"Connection: upgrade", b"Upgrade:"), SERVED),
    ("WebSocket with a body", _plus(b"Connection: Upgrade", b"Upgrade: websocket"), SERVED),
    (
        "WebSocket with a body and a key",
        _plus(
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ),
        SERVED,
    ),
    ("WebSocket with chunks", lambda r: r.chunked().plus(b"Connection: Upgrade", b"Upgrade: websocket"), SERVED),
    ("Connection: keep-alive", _plus(b"Connection: keep-alive"), SERVED),
    ("Connection: Keep-Alive, something", _plus(b"Connection: Keep-Alive, x-a"), SERVED),
    ("an empty Connection", _plus(b"Connection:"), SERVED),
    ("Proxy-Connection", _plus(b"Proxy-Connection: close"), SERVED),
]
CASES = LINES + HEADERS + HOSTS + BODIES + CHUNKS + UPGRADES
