"""The check lane: plain check requests answered without ASGI, on a connection that serves every other request too.

A plain check is decided as soon as its bytes are here, pipelined ones beside one another, and answered in order. Its
head is remembered by its bytes: a gateway sends the same one over and over. Whatever is not plain (chunked, Expect, an
upgrade, a query, HTTP/1.0, another method or path, or malformed) waits for the answers before it and is served or
refused by HttpProtocol. Both go by the same parser.
"""

import asyncio
from collections import deque
from http import HTTPStatus
from time import monotonic
from typing import Any, NamedTuple

from uvicorn.config import Config
from uvicorn.server import ServerState

from web.check import replies
from web.check.counters import COUNTERS, RouteCounters
from web.check.handler import MAX_BODY, CheckHandler, is_json
from web.check.replies import Reply
from web.connection.body import LengthBody
from web.connection.budget import Rank
from web.connection.head import END_OF_HEAD, Refused, parse_head
from web.connection.limits import MAX_PIPELINE, MAX_UNREAD_BYTES
from web.connection.protocol import HttpProtocol
from web.http.request import bearer_token

MAX_REMEMBERED = 4096
MAX_REMEMBERED_BYTES = 2048
_START = tuple(b"POST %s HTTP/1.1\r\n" % path.encode() for path in MAX_BODY)
_remembered: dict[bytes, "RequestHead | None"] = {}
known_head = _remembered.get
"""Return what a head was parsed as before; None where the lane does not answer it or has not seen it yet."""


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
        parsed = _parse_plain(head)
        if len(head) <= MAX_REMEMBERED_BYTES:
            if len(_remembered) >= MAX_REMEMBERED:
                _remembered.clear()
            _remembered[head] = parsed
        return parsed


def _parse_plain(data: bytes) -> RequestHead | None:
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


_START_OF = {
    media_type: b"content-type: %b\r\ncontent-length: " % media_type.encode()
    for media_type in (replies.JSON, replies.PROBLEM_JSON)
}
_ROUTES = {path: COUNTERS.route(path) for path in MAX_BODY}
_STATUS_LINE = {status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}


class PendingReply:
    """The place of one request's answer in the line of its connection."""

    __slots__ = ("_began_at", "_counters", "_protocol", "data", "is_last")

    def __init__(self, protocol: "CheckProtocol", counters: RouteCounters, began_at: float, is_last: bool) -> None:
        self._protocol = protocol
        self._counters = counters
        self._began_at = began_at
        self.data: bytes | None = None
        self.is_last = is_last

    def complete(self, reply: Reply) -> None:
        """Take the answer; it leaves once those before it have left."""
        self._counters.finish(reply.status, self._began_at)
        protocol = self._protocol
        self.data = protocol.encode(reply, self.is_last)
        protocol.write_completed(self)


class CheckProtocol(HttpProtocol):
    """One connection; uvicorn makes it with these arguments."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._handler: CheckHandler = config.loaded_app.state.services.check_handler
        self._pending: deque[PendingReply] = deque()
        self._collected: tuple[RequestHead, bytearray] | None = None
        self._is_identifying = False
        self._has_last = False
        self._default_headers: list[tuple[bytes, bytes]] | None = None
        self._default_lines = b""

    def data_received(self, data: bytes) -> None:
        """Serve at once what is one whole plain check with a head as before: nearly all that comes is."""
        if not (self._buffer or self._is_held or self._is_ending) and self._body is None:
            end = data.find(END_OF_HEAD)
            head = known_head(data[:end]) if end > 0 else None
            if head is not None and len(data) - end - 4 == head.length <= MAX_BODY[head.path]:
                self._received_at, self._read_at = self._loop.time(), monotonic()
                self._dispatch(head, data[end + 4 :])
                return
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._collected = None

    def shutdown(self) -> None:
        """End gracefully, as uvicorn asks: answer what has been asked, then close."""
        if self._pending:
            self._pending[-1].is_last = True
            self._has_last = self._is_held = True
        else:
            super().shutdown()

    # Requests

    def _is_busy(self) -> bool:
        return bool(self._pending) or super()._is_busy()

    def _may_take(self) -> bool:
        room = MAX_PIPELINE // 2 if self._is_held else MAX_PIPELINE
        is_free = not self._has_last and not self._is_identifying and len(self._pending) < room
        return is_free and super()._may_take()

    def _serve(self, buffer: bytes, begin: int, end: int) -> int:
        head = parse_check_head(buffer[begin:end])
        if head is None:
            return super()._serve(buffer, begin, end)
        start = end + 4
        after = start + head.length
        if head.length > MAX_BODY[head.path]:
            self._answer_unread(head)
        elif len(buffer) >= after:
            self._dispatch(head, buffer[start:after])
            return after
        else:
            self._collect(head, buffer[start:])
        return len(buffer)

    def _collect(self, head: RequestHead, beginning: bytes) -> None:
        """Wait for the rest of a body. A large one is stored only for a token that is known."""
        collected = bytearray()
        self._collected, self._is_held = (head, collected), True
        self._body, self._body_at = LengthBody(head.length, collected.extend), self._received_at
        self._body.feed(beginning)
        if head.length <= MAX_UNREAD_BYTES:
            return
        if head.token is None or not head.is_json:
            self._body = None
            self._answer_unread(head)
        elif not self._handler.is_known(head.token):
            self._is_identifying = True
            self._handler.start_identifying(head.token, self._on_identified)

    def _on_identified(self, reply: Reply | None) -> None:
        """Read on for a token that is known; `reply` refuses another one."""
        self._is_identifying = False
        if self._is_ending or self._collected is None:
            return
        if reply is not None:
            self._body = None
            self._enqueue(_ROUTES[self._collected[0].path], is_last=True).complete(reply)
        elif self._body is None:
            self._end_body()
        else:
            self._update_reading()

    def _end_body(self) -> None:
        if self._collected is None:
            super()._end_body()
        elif not self._is_identifying:
            (head, body), self._collected = self._collected, None
            self._dispatch(head, bytes(body))
            self.settle()

    def _update_reading(self) -> None:
        if not self._is_identifying:
            super()._update_reading()
        elif self._is_reading:
            self._is_reading = False
            self._transport.pause_reading()

    def _dispatch(self, head: RequestHead, body: bytes) -> None:
        pending = self._enqueue(_ROUTES[head.path], head.is_last)
        token = head.token
        if token is None:
            pending.complete(replies.no_token())
        elif not head.is_json:
            pending.complete(replies.wrong_type())
        else:
            self._handler.serve(head.path, token, body, pending.complete)
            if not self._is_proven and self._handler.is_known(token):
                self.prove(Rank.GATEWAY)

    def _answer_unread(self, head: RequestHead) -> None:
        """Refuse a request whose body is not read; the connection ends with that."""
        pending = self._enqueue(_ROUTES[head.path], is_last=True)
        if head.token is None:
            pending.complete(replies.no_token())
        elif not head.is_json:
            pending.complete(replies.wrong_type())
        else:
            pending.complete(replies.too_large(MAX_BODY[head.path]))

    def _enqueue(self, counters: RouteCounters, is_last: bool) -> PendingReply:
        counters.started += 1
        pending = PendingReply(self, counters, self._read_at, is_last)
        self._pending.append(pending)
        if is_last:
            self._has_last = self._is_held = True
            self._collected = None
        elif len(self._pending) >= MAX_PIPELINE:
            self._is_held = True
        if not self._is_proven:
            self._budget.touch(self)
        return pending

    # Answers

    def write_completed(self, pending: PendingReply) -> None:
        """Write the answers that have none left before them."""
        queue, transport = self._pending, self._transport
        if queue[0] is not pending or self._is_ending or transport.is_closing():
            return
        queue.popleft()
        if queue and queue[0].data is not None:
            parts = [pending.data]
            while queue and queue[0].data is not None:
                pending = queue.popleft()
                parts.append(pending.data)
            transport.write(b"".join(parts))  # type: ignore[arg-type]  # None was excluded
            self._state.total_requests += len(parts)
        else:
            transport.write(pending.data)  # type: ignore[arg-type]  # it is completed
            self._state.total_requests += 1
        if pending.is_last:
            self._end()
        elif self._is_held or self._is_half_closed:
            self.settle()

    def encode(self, reply: Reply, is_last: bool) -> bytes:
        """Return the bytes of an answer, its end of the connection included."""
        headers = self._state.default_headers
        if headers is not self._default_headers:
            # uvicorn makes the list anew each second.
            self._default_headers, self._default_lines = headers, b"".join([b"%s: %s\r\n" % pair for pair in headers])
        body = reply.body
        return b"%b%b%b%d\r\n%b%b%b" % (
            _STATUS_LINE[reply.status],
            self._default_lines,
            _START_OF[reply.media_type],
            len(body),
            reply.headers,
            b"connection: close\r\n\r\n" if is_last else b"\r\n",
            body,
        )
