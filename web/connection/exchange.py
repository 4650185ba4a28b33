"""One request over ASGI: from its head to the last byte of its answer."""

import asyncio
import re
from http import HTTPStatus
from typing import Protocol

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Scope

from portal.core.logs import get_log
from web.connection.head import Refused

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_STATUS_LINE = {status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_WITHOUT_BODY = frozenset({204, 304})
_DISCONNECT: Message = {"type": "http.disconnect"}


class Door(Protocol):
    """What an exchange asks of its connection."""

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]: ...

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...

    def settle(self) -> None: ...

    def on_answered(self, exchange: "Exchange") -> None: ...

    def on_failed(self, exchange: "Exchange", refused: Refused | None) -> None: ...


class Exchange:
    """The ASGI side of one request. `is_last`: the connection ends with this answer.

    `is_called`: the application knows of it; `is_started`, `is_answered`: how far its answer is.
    """

    def __init__(self, door: Door, scope: Scope, *, is_last: bool, expects_continue: bool) -> None:
        self._door = door
        self._scope = scope
        self.is_last = is_last
        self._expects_continue = expects_continue
        self._body = bytearray()
        self._is_body_whole = False
        self._is_body_given = False
        self._has_left = False
        self._is_dropped = False
        self._news = asyncio.Event()
        self.is_called = False
        self.is_started = False
        self.is_answered = False
        self._is_chunked = False
        self._is_until_close = False
        self._missing = 0

    @property
    def unread(self) -> int:
        """How many bytes of the body wait for the application."""
        return len(self._body)

    # From the connection

    def take(self, piece: bytes) -> None:
        """Hold a piece of the body until the application asks for it; after its answer nobody will."""
        if not self.is_answered and not self._is_dropped:
            self._body += piece
            self._news.set()

    def end_body(self) -> None:
        self._is_body_whole = True
        self._news.set()

    def leave(self) -> None:
        """Note that the client sends no more; it may still read."""
        self._has_left = True
        self._news.set()

    def drop(self) -> None:
        """Note that nobody reads what the application still answers."""
        self._is_dropped = True
        self._body.clear()
        self.leave()

    # To the application

    async def run(self, app: ASGIApp) -> None:
        """Call the application. A client that left before its body was whole is no error."""
        refused = None
        try:
            await app(self._scope, self._receive, self._send)
        except ClientDisconnect:
            pass
        except asyncio.CancelledError:
            self._door.on_failed(self, Refused(503, "This process is stopping; send the request again."))
            raise
        except Exception as error:
            get_log(__name__).error("request_failed", path=self._scope["path"], exc_info=error)
            refused = Refused(500, "Something went wrong on our side and was logged.")
        if not self.is_answered and not self._is_dropped:
            self._door.on_failed(self, refused)

    async def _receive(self) -> Message:
        if self._expects_continue and not self.is_started and not self._has_left:
            self._expects_continue = False
            if not self._body and not self._is_body_whole:
                self._door.write(_CONTINUE)
        while True:
            if self._body or (self._is_body_whole and not self._is_body_given):
                body = bytes(self._body)
                self._body.clear()
                self._is_body_given = self._is_body_whole
                self._door.settle()
                return {"type": "http.request", "body": body, "more_body": not self._is_body_given}
            if self._has_left or self.is_answered:
                return _DISCONNECT
            self._news.clear()
            await self._news.wait()

    async def _send(self, message: Message) -> None:
        await self._door.drain()
        if self._is_dropped:
            return
        if not self.is_started:
            if message["type"] != "http.response.start":
                raise RuntimeError(f"An answer begins with http.response.start, not with {message['type']}")
            self._start(message["status"], message.get("headers", ()))
        elif self.is_answered or message["type"] != "http.response.body":
            raise RuntimeError(f"Unexpected {message['type']}")
        else:
            self._continue(message.get("body", b""), has_more=message.get("more_body", False))

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        if self._expects_continue:
            self.is_last = True  # whether the body follows now is the client's choice
        lines, length = [_STATUS_LINE[status]], None
        for raw, value in [*self._door.default_headers, *headers]:
            name = raw.lower()
            if _NAME.fullmatch(name) is None or _VALUE.search(value) is not None:
                raise RuntimeError("This cannot be a header")
            if name == b"connection":
                self.is_last = self.is_last or value.lower() == b"close"
                continue
            if name == b"content-length":
                length = int(value)
            lines.append(b"%b: %b\r\n" % (name, value))
        if self._scope["method"] == "HEAD" or status in _WITHOUT_BODY:
            self._missing = 0
        elif length is not None:
            self._missing = length
        elif self._scope["http_version"] == "1.0":
            self._is_until_close = True
        else:
            self._is_chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        if self.is_last:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        self.is_started = True
        self._door.write(b"".join(lines))

    def _continue(self, body: bytes, *, has_more: bool) -> None:
        if self._is_chunked:
            data = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self._door.write(data if has_more else data + _LAST_CHUNK)
        elif self._is_until_close:
            self._door.write(body)
        elif self._scope["method"] != "HEAD":
            self._missing -= len(body)
            if self._missing < 0 or (self._missing and not has_more):
                raise RuntimeError("This answer is not as long as its Content-Length")
            self._door.write(body)
        if not has_more:
            self.is_answered = True
            self._news.set()
            self._door.on_answered(self)
