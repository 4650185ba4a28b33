"""An HTTP/1.1 connection: it frames requests strictly, serves them by ASGI one after another, and always ends.

    bytes ─► head.py ─► body.py ─► exchange.py ─► the ASGI application
                 │ a WebSocket handshake
                 └─► websocket.py

What a state may last is in limits.py; watch.py looks after it, and after the end. A request that cannot be served is
told why before. How many connections there may be is budget.py's.
"""

import asyncio
from math import inf
from time import monotonic
from typing import Any, cast

from prometheus_client import Counter
from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.server import ServerState

from web.connection.body import ChunkedBody, LengthBody
from web.connection.budget import ConnectionBudget, Rank, budget_of
from web.connection.exchange import Exchange
from web.connection.head import END_OF_HEAD, Head, Refused, find_fault, parse_head
from web.connection.limits import (
    BODY_SECONDS,
    HEAD_SECONDS,
    IDLE_SECONDS,
    MAX_BLANK_LINES,
    MAX_HEAD_BYTES,
    MAX_UNREAD_BYTES,
)
from web.connection.watch import WatchedProtocol
from web.connection.websocket import SocketProtocol

REFUSED = Counter(
    "portal_requests_refused",
    "Requests that no route saw: malformed, too large or too slow.",
    ["status"],
)
_REFUSAL = (
    b"HTTP/1.1 %d %b\r\n%bcontent-type: application/problem+json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
)


class HttpProtocol(WatchedProtocol):
    """One connection; uvicorn makes it with these arguments."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(_loop or asyncio.get_running_loop())
        self._config = config
        self._app = config.loaded_app
        self._budget: ConnectionBudget = budget_of(config.loaded_app)
        self._state = server_state
        self._app_state = app_state
        self._buffer = b""
        self._blank_lines = 0
        self._exchange: Exchange | None = None
        self._body: LengthBody | ChunkedBody | None = None
        self._socket: SocketProtocol | None = None
        self._is_proven = False
        self._is_held = self._is_taking = False
        self._begun_at = self._received_at = self._body_at = self._read_at = 0.0

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._watch(cast(asyncio.Transport, transport))  # uvloop's is one in all but name
        self._state.connections.add(self)  # type: ignore[arg-type]  # it lists uvicorn's own classes; ours has what it uses
        self._received_at = self._begun_at = self._loop.time()
        peer = transport.get_extra_info("peername")
        if not self._budget.admit(self, peer[0] if isinstance(peer, tuple) else ""):
            self._write_refusal(Refused(503, "Too many connections are open here. Use fewer, or try again soon."))
            self._close()

    def data_received(self, data: bytes) -> None:
        if self._is_ending:
            return
        self._received_at, self._read_at = self._loop.time(), monotonic()
        if self._body is not None:
            data = self._feed(data)
            if not data:
                return
        if self._buffer:
            self._buffer += data
        else:
            self._buffer, self._begun_at = data, self._received_at
        if self._is_held:
            self._update_reading()
        else:
            self._take_requests()

    def eof_received(self) -> bool:
        """Close after the last answer: the client asks no more and may still read."""
        self._is_half_closed = True
        if self._is_ending or (self._body is not None and self._exchange is not None):
            return False
        self._body = None
        if self._exchange is not None:
            self._exchange.leave()
        return self._is_busy() or (self._is_held and bool(self._buffer))

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch_no_more()
        self._budget.remove(self)
        self._state.connections.discard(self)
        self._buffer, self._body = b"", None
        if self._exchange is not None:
            self._exchange.drop()

    def pause_writing(self) -> None:
        """Read no more requests from a client that does not read its answers."""
        self.note_unread()
        self.settle()

    def resume_writing(self) -> None:
        self.note_read()
        self.settle()

    def shutdown(self) -> None:
        """End gracefully, as uvicorn asks: answer what has been asked, then close."""
        exchange = self._exchange
        if exchange is not None and exchange.is_called and not exchange.is_answered and not self._is_ending:
            exchange.is_last = True
        elif exchange is not None or not self._is_busy() or self._is_ending:
            self._transport.close()

    # From the budget

    @property
    def is_idle(self) -> bool:
        return not self._is_busy() and self._socket is None

    def abort(self) -> None:
        self._transport.abort()

    def prove(self, rank: Rank) -> None:
        """Note that a valid token or session came: this connection is none that makes room for others."""
        self._is_proven = rank is Rank.GATEWAY
        self._budget.prove(self, rank)

    # Requests

    def _is_busy(self) -> bool:
        """Return whether an answer is owed."""
        return self._exchange is not None

    def _may_take(self) -> bool:
        """Return whether another request may begin now."""
        return self._exchange is None and self._writable is None

    def _take_requests(self) -> None:
        """Serve every complete request that is in the buffer."""
        buffer, begin = self._buffer, 0
        self._is_taking = True
        while not self._is_ending and not self._is_held:
            end = buffer.find(END_OF_HEAD, begin)
            if end < 0 or end - begin > MAX_HEAD_BYTES:
                break
            begin = self._serve(buffer, begin, end)
        self._is_taking = False
        if self._is_ending:
            return
        self._buffer = buffer[begin:]
        if begin:
            self._begun_at = self._received_at  # the time of what is not served yet counts from its own first byte
        if self._buffer and not self._is_held:
            fault = find_fault(self._buffer)
            if fault is not None and self._is_busy():
                self._hold()
            elif fault is not None:
                self._refuse(fault)
        if self._is_held:
            self._update_reading()

    def _serve(self, buffer: bytes, begin: int, end: int) -> int:
        """Serve the request whose head ends at `end`; return up to where the buffer is used up: `begin` for not yet."""
        if buffer.startswith(b"\r\n", begin) and self._blank_lines < MAX_BLANK_LINES:
            self._blank_lines += 1
            return begin + 2
        if self._is_busy():
            self._hold()
            return begin
        try:
            head = parse_head(buffer[begin:end])
        except Refused as refused:
            self._refuse(refused)
            return len(buffer)
        self._blank_lines = 0
        if head.opens_socket:
            self._open_socket(head, buffer[end + 4 :])
            return len(buffer)
        self._begin(head)
        return len(buffer) - len(self._feed(buffer[end + 4 :]))

    def _begin(self, head: Head) -> None:
        """Take the body, and call the application once it is whole, or large, or must be asked for.

        So nothing is begun for a request that never comes to its end, nor for one that turns out to be malformed.
        """
        exchange = Exchange(self, self._scope(head), is_last=head.is_last, expects_continue=head.expects_continue)
        self._exchange, self._is_held = exchange, True
        self._body = ChunkedBody(exchange.take) if head.is_chunked else LengthBody(head.length, exchange.take)
        self._body_at = self._received_at
        if head.expects_continue:
            self._call(exchange)

    def _call(self, exchange: Exchange) -> None:
        exchange.is_called = True
        task = self._loop.create_task(exchange.run(self._app))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    def _scope(self, head: Head) -> Scope:
        peer, local = self._transport.get_extra_info("peername"), self._transport.get_extra_info("sockname")
        return {
            "type": "http",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.3"},
            "http_version": head.version,
            "server": local[:2] if isinstance(local, tuple) else None,
            "client": peer[:2] if isinstance(peer, tuple) else None,
            "scheme": "http",
            "root_path": "",
            "method": head.method,
            "path": head.path,
            "raw_path": head.target,
            "query_string": head.query,
            "headers": head.headers,
            "state": {**self._app_state, "connection": self},
        }

    def _feed(self, data: bytes) -> bytes:
        """Give the body what belongs to it, and return what comes after it."""
        assert self._body is not None  # noqa: S101 asked before
        try:
            rest = self._body.feed(data)
        except Refused as refused:
            self._refuse(refused)
            return b""
        if rest is None:
            exchange = self._exchange
            if exchange is not None and not exchange.is_called and exchange.unread > MAX_UNREAD_BYTES:
                self._call(exchange)
            self._update_reading()
            return b""
        self._body = None
        self._end_body()
        return rest

    def _end_body(self) -> None:
        """Go on once a body is whole."""
        assert self._exchange is not None  # noqa: S101 it is its body
        self._budget.touch(self)
        self._exchange.end_body()
        if not self._exchange.is_called:
            self._call(self._exchange)
        elif self._exchange.is_answered:
            self._exchange = None
            self.settle()

    def _open_socket(self, head: Head, rest: bytes) -> None:
        """Let the WebSocket's protocol go on; this one keeps watching the connection."""
        self._is_held = True
        self._socket = SocketProtocol(self, self._config, self._state, {**self._app_state, "connection": self})
        self._state.connections.discard(self)
        self._transport.set_protocol(self._socket)
        self._socket.connection_made(self._transport)
        # uvicorn's passes names on as they come, and ASGI wants them in lower case.
        lines = [b"%b: %b\r\n" % pair for pair in head.headers]
        target = head.target + (b"?" + head.query if head.query else b"")
        self._socket.data_received(b"GET %b HTTP/1.1\r\n%b\r\n%b" % (target, b"".join(lines), rest))

    # What an exchange asks

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        return self._state.default_headers

    def write(self, data: bytes) -> None:
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def on_answered(self, exchange: Exchange) -> None:
        self._state.total_requests += 1
        if self._is_ending:
            return
        if exchange.is_last:
            self._end()
            return
        self._received_at = self._loop.time()
        if self._body is None:
            self._exchange = None
            self.settle()

    def on_failed(self, exchange: Exchange, refused: Refused | None) -> None:
        """End after an application that did not answer, or not to the end: half an answer must never look whole."""
        if self._is_ending:
            return
        if exchange.is_started or refused is None:
            self._close()
        else:
            self._refuse(refused)

    def settle(self) -> None:
        """Go on with what was held back, if nothing holds it any more."""
        if self._is_ending:
            return
        self._is_held = not self._may_take()
        if self._is_taking:
            return
        if self._buffer and not self._is_held:
            self._take_requests()
        if not self._is_ending:
            self._update_reading()
            if self._is_half_closed and not self._is_busy():
                self._close()

    def _hold(self) -> None:
        """Serve nothing more until settle() is called."""
        self._is_held = True

    def _update_reading(self) -> None:
        """Read on unless what came waits already: for its turn, for the application or for a client that reads."""
        waits = (
            bool(self._is_held and self._buffer)
            or self._writable is not None
            or (self._exchange is not None and self._exchange.unread > MAX_UNREAD_BYTES)
        )
        if waits is self._is_reading:
            self._is_reading = not waits
            (self._transport.pause_reading if waits else self._transport.resume_reading)()

    # The end

    def _refuse(self, refused: Refused) -> None:
        """Say why nothing more is served here, unless an answer has begun, and end."""
        exchange = self._exchange
        if exchange is not None and exchange.is_started:
            if exchange.is_answered:
                self._end()
            else:
                self._transport.abort()
            return
        if exchange is not None:
            exchange.drop()
        self._write_refusal(refused)
        self._end()

    def _write_refusal(self, refused: Refused) -> None:
        REFUSED.labels(str(refused.status)).inc()
        body = refused.document
        lines = b"".join([b"%b: %b\r\n" % pair for pair in self._state.default_headers])
        title = refused.title.encode()
        self.write(_REFUSAL % (refused.status, title, lines, len(body), body))

    def _find_limit(self) -> tuple[float, float]:
        if self._socket is not None:
            return inf, self._received_at
        if self._body is not None:
            return BODY_SECONDS, self._body_at
        if self._is_busy():
            return inf, self._received_at
        if self._buffer:
            return HEAD_SECONDS, self._begun_at
        return IDLE_SECONDS, self._received_at

    def _on_overdue(self) -> None:
        """Say 408 where a request is missing, unless it would stand before, or within, an answer that is owed."""
        is_owed = self._is_busy() and (self._exchange is None or self._exchange.is_started)
        if is_owed:
            self._transport.abort()
        elif self._body is not None or self._buffer:
            self._refuse(Refused(408, "The request did not arrive in time."))
        elif self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._close()

    def _forget_requests(self) -> None:
        self._buffer, self._body = b"", None
        self._budget.settle(self)
