"""A small client of POST /check: one keep-alive connection, one request at a time. Fast enough to load a portal, and
light to import, so that client processes are there at once.

A request is sent once and never repeated: the caller decides what a lost answer means. After a loss the next request
opens a new connection.
"""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self, cast
from urllib.parse import urlsplit

import httptools
import msgspec

TIMEOUT_SECONDS = 10.0

_encode = msgspec.json.encode
_decode = msgspec.json.decode


class CheckAnswer(NamedTuple):
    """`headers` by lower-case name; `document` is the JSON body, None where there is none."""

    status: int
    headers: dict[str, str]
    document: Any


class CheckClient:
    """Also a context manager. Concurrent calls queue: open as many clients as there should be connections."""

    def __init__(self, url: str, token: str, *, path: str = "/check", timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"{url!r} is not an http:// address")
        self._host, self._port = parts.hostname, parts.port or 80
        self._timeout_seconds = timeout_seconds
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self._line: _Line | None = None
        self._turn = asyncio.Lock()

    async def check(self, body: Mapping[str, Any]) -> CheckAnswer:
        """Raises OSError (TimeoutError too) when there is no connection or no whole answer."""
        payload = _encode(body)
        async with self._turn:
            line = await self._connected()
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    return await line.ask(b"%s%d\r\n\r\n%s" % (self._head, len(payload), payload))
            except BaseException:
                # Whatever still arrives belongs to this request and must never answer the next one.
                self.close()
                raise

    async def connect(self) -> None:
        """Open the connection now rather than with the first request. Raises OSError."""
        async with self._turn:
            await self._connected()

    def close(self) -> None:
        """Idempotent; a later request opens a new connection."""
        if self._line is not None:
            self._line.close()
            self._line = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _connected(self) -> "_Line":
        if self._line is None or self._line.is_over:
            async with asyncio.timeout(self._timeout_seconds):
                _, self._line = await asyncio.get_running_loop().create_connection(_Line, self._host, self._port)
        return self._line


class _Line(asyncio.Protocol):
    """A connection; after `Connection: close`, a loss or bytes that are no HTTP it `is_over`."""

    def __init__(self) -> None:
        self.is_over = False
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[CheckAnswer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    async def ask(self, request: bytes) -> CheckAnswer:
        if self._transport is None or self.is_over:
            raise ConnectionResetError("the connection is closed")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        self.is_over = True
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"this is no HTTP answer ({error})"))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True
        self._fail(ConnectionResetError("the connection was lost"))

    # httptools.HttpResponseParser

    def on_message_begin(self) -> None:
        self._headers, self._body = {}, bytearray()

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        known = self._headers.get(key)
        self._headers[key] = text if known is None else f"{known}, {text}"

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.is_over = not self._parser.should_keep_alive()
        try:
            document = _decode(self._body) if self._body else None
        except msgspec.DecodeError as error:
            self._fail(ConnectionError(f"the answer is no JSON ({error})"))
            return
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(CheckAnswer(self._parser.get_status_code(), self._headers, document))

    def _fail(self, error: OSError) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
