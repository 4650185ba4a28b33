"""One TCP connection to Redis: commands leave in order, replies come back in order.

A reply belongs to the oldest command that has none, whatever became of its caller: a command that missed its deadline
keeps its place in line until its reply arrives and is dropped, so a reply can never reach another request.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, cast

import hiredis

SILENCE_SECONDS = 1.0

Command = tuple[bytes | str | int | float | memoryview, ...]
Reply = Any
OnReply = Callable[[Reply], None]
"""Called once, with the reply, a hiredis.ReplyError, or LimitsUnavailable."""


class LimitsUnavailable(Exception):
    """Redis did not answer in time or is not connected."""


class _Call:
    __slots__ = ("deadline", "on_reply")

    def __init__(self, on_reply: OnReply | None, deadline: float) -> None:
        self.on_reply = on_reply
        self.deadline = deadline


class Link(asyncio.Protocol):
    """Lives as long as its socket; `lost` is set when that ends."""

    def __init__(self, name: str) -> None:
        self.lost = asyncio.Event()
        self._name = name
        self._calls: deque[_Call] = deque()
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._shortest_s = 0.0
        self._heard_at = 0.0

    def send(self, on_reply: OnReply, command: Command, deadline_s: float) -> None:
        """Write now; `on_reply` is called later. After the end of the link it is called at once."""
        self.write(on_reply, hiredis.pack_command(command), deadline_s)  # type: ignore[arg-type]  # its stub allows one

    def write(self, on_reply: OnReply, command: bytes, deadline_s: float) -> None:
        """The same for a command in the protocol's own form."""
        if self._transport is None or self.lost.is_set():
            on_reply(LimitsUnavailable(f"not connected to {self._name}"))
            return
        now = monotonic()
        if not self._calls:
            self._heard_at = now
        self._calls.append(_Call(on_reply, now + deadline_s))
        self._transport.write(command)
        if self._timer is None or deadline_s < self._shortest_s:
            self._schedule(deadline_s)

    def abort(self) -> None:
        """End the link; whoever waits is told LimitsUnavailable."""
        if self._transport is not None:
            self._transport.abort()
        self.connection_lost(None)

    def _schedule(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._shortest_s = seconds
        self._timer = asyncio.get_running_loop().call_later(max(seconds, 0.001), self._due)

    def _due(self) -> None:
        """After a stalled turn timers run before sockets are read: let replies that are already here come first."""
        self._timer = asyncio.get_running_loop().call_later(0.001, self._expire)

    def _expire(self) -> None:
        """Fail what is overdue; end the link to a server that has been silent for too long."""
        self._timer = None
        now = monotonic()
        if self._calls and now - self._heard_at > SILENCE_SECONDS:
            self.abort()
            return
        next_deadline = now + SILENCE_SECONDS
        for call in self._calls:
            if call.on_reply is None:
                continue
            if call.deadline > now:
                next_deadline = min(next_deadline, call.deadline)
            else:
                on_reply, call.on_reply = call.on_reply, None
                _soon(on_reply, LimitsUnavailable(f"{self._name} did not answer in time"))
        if self._calls:
            self._schedule(next_deadline - now)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        self._heard_at = monotonic()
        self._reader.feed(data)
        while self._calls:
            reply = self._reader.gets()
            if reply is False:
                break
            call = self._calls.popleft()
            if call.on_reply is not None:
                call.on_reply(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        calls, self._calls = self._calls, deque()
        for call in calls:
            if call.on_reply is not None:
                _soon(call.on_reply, LimitsUnavailable(f"lost the connection to {self._name}"))


def _soon(on_reply: OnReply, error: Exception) -> None:
    """In a turn of its own: a callback that sends again must not do so while the line is walked."""
    asyncio.get_running_loop().call_soon(on_reply, error)
