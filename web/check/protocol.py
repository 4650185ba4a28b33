"""The lane: an asyncio protocol that answers plain check requests without ASGI, given to uvicorn as its HTTP class.

Each connection starts here. As long as its requests are plain checks (see head.py) they are answered here, pipelined
ones in their order. The first other request hands the whole connection to uvicorn's own protocol, at a message
boundary, after the answers before it, and for good; behind that the same desk answers /check over ASGI.
"""

import asyncio
from collections import deque
from http import HTTPStatus
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from web.check import replies
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
_STATUS_LINE = {status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}


class PendingReply:
    """The place of one request's answer in the line of its connection."""

    __slots__ = ("_lane", "data", "is_last")

    def __init__(self, lane: "CheckProtocol", *, is_last: bool) -> None:
        self._lane = lane
        self.data: bytes | None = None
        self.is_last = is_last

    def settle(self, reply: Reply) -> None:
        """An answer is there; it leaves once those before it have left."""
        self.data = self._lane.encode(reply, is_last=self.is_last)
        self._lane.answer(self)


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
        self._desk: CheckHandler = config.loaded_app.state.services.desk
        self._state = server_state
        self._loop = _loop or asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._buffer = b""
        self._line: deque[PendingReply] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._is_ending = False
        self._is_handing_over = False
        self._is_held = False
        self._is_unread = False
        self._is_over = False
        self._told: list[tuple[bytes, bytes]] | None = None
        self._always = b""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._state.connections.add(self)  # type: ignore[arg-type]  # it lists uvicorn's own classes; ours has what it uses
        self._heard_at = self._begun_at = self._loop.time()
        self._timer = self._loop.call_later(SLOW_SECONDS, self._check_idle)

    def data_received(self, data: bytes) -> None:
        if self._is_ending:
            return
        self._heard_at = self._loop.time()
        if self._buffer:
            self._buffer += data
        else:
            self._buffer, self._begun_at = data, self._heard_at
        if not self._is_handing_over and not self._is_held:
            self._take_requests()

    def eof_received(self) -> bool:
        """The client asks no more and may still read: the connection ends with the last answer."""
        self._is_over = True
        return bool(self._line)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cleanup()
        self._is_ending = True
        self._buffer = b""

    def pause_writing(self) -> None:
        """The client does not read its answers: read no more of its requests."""
        self._is_unread = True
        self._pause()

    def resume_writing(self) -> None:
        self._is_unread = False
        self._resume()

    def shutdown(self) -> None:
        """uvicorn ends gracefully: answer what has been asked, then close."""
        if self._line:
            self._line[-1].is_last = True
            self._is_ending = True
        else:
            self._transport.close()

    # Requests

    def _take_requests(self) -> None:
        """Serve every complete request that is in the buffer."""
        buffer, begin = self._buffer, 0
        while not self._is_ending and not self._is_held:
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
        """What is not served yet; its time counts from its own first byte."""
        self._buffer = buffer[begin:]
        if begin:
            self._begun_at = self._heard_at

    def _wait_for_head(self) -> None:
        if not self._buffer:
            return
        if not could_match(self._buffer):
            # Not before its head is whole, or uvicorn would wait for the rest for ever.
            if is_complete(self._buffer) or len(self._buffer) > MAX_HEAD:
                self._hand_over()
        elif len(self._buffer) > MAX_HEAD:
            slot = self._enqueue(is_last=True)
            slot.settle(replies.problem(431, "Headers too large", f"At most {MAX_HEAD} bytes."))

    def _dispatch(self, head: RequestHead, body: bytes, *, too_large: bool = False) -> None:
        slot = self._enqueue(is_last=head.is_last or too_large)
        if head.token is None:
            slot.settle(replies.no_token())
        elif not head.is_json:
            slot.settle(replies.wrong_type())
        elif too_large:
            slot.settle(replies.too_large(MAX_BODY[head.path]))
        else:
            self._desk.serve(head.path, head.token, body, slot.settle)

    def _enqueue(self, *, is_last: bool) -> PendingReply:
        slot = PendingReply(self, is_last=is_last)
        self._line.append(slot)
        if is_last:
            self._is_ending = True
        if len(self._line) >= MAX_PIPELINE:
            self._pause()
        return slot

    # Answers

    def answer(self, slot: PendingReply) -> None:
        """Write what has come to the head of the line."""
        line = self._line
        if line[0] is not slot or self._transport.is_closing():
            return
        parts = []
        while line and line[0].data is not None:
            slot = line.popleft()
            parts.append(slot.data)
        self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))  # type: ignore[arg-type]  # None was excluded
        self._state.total_requests += len(parts)
        if slot.is_last:
            self._transport.close()
        elif not line and self._is_handing_over:
            self._hand_over()
        elif self._is_held:
            self._resume()
        if self._is_over and not line:
            self._transport.close()

    def encode(self, reply: Reply, *, is_last: bool) -> bytes:
        """The bytes of an answer, its end of the connection included."""
        always = self._state.default_headers
        if always is not self._told:
            # uvicorn makes the list anew each second.
            self._told, self._always = always, b"".join([b"%s: %s\r\n" % pair for pair in always])
        start = _START_OF[reply.media_type]
        end = b"connection: close\r\n\r\n" if is_last else b"\r\n"
        head = b"%b%b%b%d\r\n%b%b" % (
            _STATUS_LINE[reply.status],
            self._always,
            start,
            len(reply.body),
            reply.headers,
            end,
        )
        return head + reply.body

    # The end of our part

    def _hand_over(self) -> None:
        """Let uvicorn's protocol go on from the request that is in the buffer, once ours are answered."""
        if self._line:
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
        if not self._is_held and not self._is_handing_over:
            self._is_held = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._is_held and not self._is_unread and len(self._line) < MAX_PIPELINE // 2:
            self._is_held = False
            self._transport.resume_reading()
            if self._buffer and not self._is_ending:
                self._take_requests()

    def _check_idle(self) -> None:
        """Close a connection that has been idle too long, or that sends a request too slowly."""
        patience, since = (SLOW_SECONDS, self._begun_at) if self._buffer else (IDLE_SECONDS, self._heard_at)
        silent = self._loop.time() - since
        if not self._line and silent >= patience:
            # What nobody reads cannot be flushed first.
            (self._transport.abort if self._is_unread else self._transport.close)()
            return
        self._timer = self._loop.call_later(max(min(patience - silent, SLOW_SECONDS), 0.5), self._check_idle)

    def _cleanup(self) -> None:
        self._state.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
