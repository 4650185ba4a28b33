"""The check lane: an asyncio protocol that answers plain check requests without ASGI, uvicorn's HTTP class.

Each connection starts here. As long as its requests are plain checks (see request_head.py) they are answered here,
pipelined ones in their order. The first other request hands the whole connection to uvicorn's own protocol, at a
message boundary, after the answers before it, and for good; behind that CheckHandler answers /check over ASGI.
"""

import asyncio
from collections import deque
from http import HTTPStatus
from time import monotonic
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from web.check import replies
from web.check.counters import COUNTERS, RouteCounters
from web.check.handler import MAX_BODY, CheckHandler
from web.check.replies import Reply
from web.check.request_head import RequestHead, could_match, is_complete, parse_head
from web.middleware.timeouts import TimeoutHttpProtocol

MAX_HEAD = 16 * 1024
MAX_PIPELINE = 128
IDLE_SECONDS = 75.0
SLOW_SECONDS = 10.0
END_OF_HEAD = b"\r\n\r\n"

_START_OF = {
    media_type: b"content-type: %b\r\ncontent-length: " % media_type.encode()
    for media_type in (replies.JSON, replies.PROBLEM_JSON)
}
_ROUTES = {path: COUNTERS.route(path) for path in MAX_BODY}
_UNKNOWN_ROUTE = COUNTERS.route("unknown")
"""Of a request whose head was never whole."""
_STATUS_LINE = {status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}


class PendingReply:
    """The place of one request's answer in the line of its connection."""

    __slots__ = ("_began_at", "_counters", "_protocol", "data", "is_last")

    def __init__(self, protocol: "CheckProtocol", counters: RouteCounters, began_at: float, *, is_last: bool) -> None:
        self._protocol = protocol
        self._counters = counters
        self._began_at = began_at
        self.data: bytes | None = None
        self.is_last = is_last

    def complete(self, reply: Reply) -> None:
        """Take the answer; it leaves once those before it have left."""
        self._counters.finish(reply.status, self._began_at)
        self.data = self._protocol.encode(reply, is_last=self.is_last)
        self._protocol.write_completed(self)


class CheckProtocol(asyncio.Protocol):
    """One connection; uvicorn makes it with these arguments."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._arguments = (config, server_state, app_state, _loop)
        self._handler: CheckHandler = config.loaded_app.state.services.check_handler
        self._state = server_state
        self._loop = _loop or asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._buffer = b""
        self._pending: deque[PendingReply] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._is_ending = False
        self._is_handing_over = False
        self._is_paused = False
        self._is_writing_paused = False
        self._is_half_closed = False
        self._default_headers: list[tuple[bytes, bytes]] | None = None
        self._default_lines = b""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._state.connections.add(self)  # type: ignore[arg-type]  # it lists uvicorn's own classes; ours has what it uses
        self._received_at = self._begun_at = self._loop.time()
        self._read_at = monotonic()
        self._timer = self._loop.call_later(SLOW_SECONDS, self._check_idle)

    def data_received(self, data: bytes) -> None:
        if self._is_ending:
            return
        self._received_at, self._read_at = self._loop.time(), monotonic()
        if self._buffer:
            self._buffer += data
        else:
            self._buffer, self._begun_at = data, self._received_at
        if not self._is_handing_over and not self._is_paused:
            self._take_requests()

    def eof_received(self) -> bool:
        """Close after the last answer: the client asks no more and may still read."""
        self._is_half_closed = True
        return bool(self._pending)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cleanup()
        self._is_ending = True
        self._buffer = b""

    def pause_writing(self) -> None:
        """Read no more requests from a client that does not read its answers."""
        self._is_writing_paused = True
        self._pause()

    def resume_writing(self) -> None:
        self._is_writing_paused = False
        self._resume()

    def shutdown(self) -> None:
        """End gracefully, as uvicorn asks: answer what has been asked, then close."""
        if self._pending:
            self._pending[-1].is_last = True
            self._is_ending = True
        else:
            self._transport.close()

    # Requests

    def _take_requests(self) -> None:
        """Serve every complete request that is in the buffer."""
        buffer, begin = self._buffer, 0
        while not self._is_ending and not self._is_paused:
            end = buffer.find(END_OF_HEAD, begin)
            if end < 0 or end - begin > MAX_HEAD:
                self._buffer_rest(buffer, begin)
                self._wait_for_head()
                return
            head = parse_head(buffer[begin:end])
            if head is None:
                self._buffer = buffer[begin:]
                self._hand_over()
                return
            after = end + 4 + head.length
            if head.length > MAX_BODY[head.path]:
                self._dispatch(head, b"", too_large=True)
                return
            if len(buffer) < after:
                break
            self._dispatch(head, buffer[end + 4 : after])
            begin = after
        self._buffer_rest(buffer, begin)

    def _buffer_rest(self, buffer: bytes, begin: int) -> None:
        """Hold what is not served yet; its time counts from its own first byte."""
        self._buffer = buffer[begin:]
        if begin:
            self._begun_at = self._received_at

    def _wait_for_head(self) -> None:
        if not self._buffer:
            return
        if not could_match(self._buffer):
            # Not before its head is whole, or uvicorn would wait for the rest for ever.
            if is_complete(self._buffer) or len(self._buffer) > MAX_HEAD:
                self._hand_over()
        elif len(self._buffer) > MAX_HEAD:
            pending = self._enqueue(_UNKNOWN_ROUTE, is_last=True)
            pending.complete(replies.problem(431, "Headers too large", f"At most {MAX_HEAD} bytes."))

    def _dispatch(self, head: RequestHead, body: bytes, *, too_large: bool = False) -> None:
        pending = self._enqueue(_ROUTES[head.path], is_last=head.is_last or too_large)
        if head.token is None:
            pending.complete(replies.no_token())
        elif not head.is_json:
            pending.complete(replies.wrong_type())
        elif too_large:
            pending.complete(replies.too_large(MAX_BODY[head.path]))
        else:
            self._handler.serve(head.path, head.token, body, pending.complete)

    def _enqueue(self, counters: RouteCounters, *, is_last: bool) -> PendingReply:
        counters.started += 1
        pending = PendingReply(self, counters, self._read_at, is_last=is_last)
        self._pending.append(pending)
        if is_last:
            self._is_ending = True
        if len(self._pending) >= MAX_PIPELINE:
            self._pause()
        return pending

    # Answers

    def write_completed(self, pending: PendingReply) -> None:
        """Write the answers that have none left before them."""
        queue = self._pending
        if queue[0] is not pending or self._transport.is_closing():
            return
        parts = []
        while queue and queue[0].data is not None:
            pending = queue.popleft()
            parts.append(pending.data)
        self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))  # type: ignore[arg-type]  # None was excluded
        self._state.total_requests += len(parts)
        if pending.is_last:
            self._transport.close()
        elif not queue and self._is_handing_over:
            self._hand_over()
        elif self._is_paused:
            self._resume()
        if self._is_half_closed and not queue:
            self._transport.close()

    def encode(self, reply: Reply, *, is_last: bool) -> bytes:
        """Return the bytes of an answer, its end of the connection included."""
        headers = self._state.default_headers
        if headers is not self._default_headers:
            # uvicorn makes the list anew each second.
            self._default_headers, self._default_lines = headers, b"".join([b"%s: %s\r\n" % pair for pair in headers])
        start = _START_OF[reply.media_type]
        end = b"connection: close\r\n\r\n" if is_last else b"\r\n"
        head = b"%b%b%b%d\r\n%b%b" % (
            _STATUS_LINE[reply.status],
            self._default_lines,
            start,
            len(reply.body),
            reply.headers,
            end,
        )
        return head + reply.body

    # The end of our part

    def _hand_over(self) -> None:
        """Let uvicorn's protocol go on from the request that is in the buffer, once ours are answered."""
        if self._pending:
            self._is_handing_over = True
            self._transport.pause_reading()
            return
        if self._is_handing_over:
            self._transport.resume_reading()
        data, self._buffer = self._buffer, b""
        self._cleanup()
        other = TimeoutHttpProtocol(*self._arguments)
        self._transport.set_protocol(other)
        other.connection_made(self._transport)
        other.data_received(data)

    def _pause(self) -> None:
        if not self._is_paused and not self._is_handing_over:
            self._is_paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._is_paused and not self._is_writing_paused and len(self._pending) < MAX_PIPELINE // 2:
            self._is_paused = False
            self._transport.resume_reading()
            if self._buffer and not self._is_ending:
                self._take_requests()

    def _check_idle(self) -> None:
        """Close a connection that has been idle too long, or that sends a request too slowly."""
        timeout, since = (SLOW_SECONDS, self._begun_at) if self._buffer else (IDLE_SECONDS, self._received_at)
        silent = self._loop.time() - since
        if not self._pending and silent >= timeout:
            # What nobody reads cannot be flushed first.
            (self._transport.abort if self._is_writing_paused else self._transport.close)()
            return
        self._timer = self._loop.call_later(max(min(timeout - silent, SLOW_SECONDS), 0.5), self._check_idle)

    def _cleanup(self) -> None:
        self._state.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
