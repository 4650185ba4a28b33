"""A connection that always ends: what lasts too long is ended by its owner, and an end that lasts too long by a reset.

An end with an answer lingers: it says that nothing more comes, and reads and drops for a moment what is still sent. A
close with unread bytes would be a reset, which overtakes the answer.
"""

import asyncio
from abc import ABC, abstractmethod

from web.connection.limits import ANSWER_SECONDS, LINGER_SECONDS, LOOK_SECONDS, WRITE_SECONDS

MIN_LOOK_SECONDS = 0.5


class WatchedProtocol(asyncio.Protocol, ABC):
    """The time of a connection. A subclass says how long its present state may last, and what to do after that."""

    _transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._is_reading = True
        self._is_half_closed = False
        self._is_ending = False
        self._writable: asyncio.Event | None = None
        self._unread_at = self._waits_since = 0.0
        self._unread_bytes = 0

    @abstractmethod
    def _find_limit(self) -> tuple[float, float]:
        """Return how long the present state may last, and since when it does."""

    @abstractmethod
    def _on_overdue(self) -> None:
        """End what has lasted too long."""

    @abstractmethod
    def _forget_requests(self) -> None:
        """Drop what has been received and will not be served."""

    def _watch(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look)

    def _watch_no_more(self) -> None:
        """Let go of a connection that is lost."""
        self._is_ending = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.note_read()

    # The client as a reader

    def note_unread(self) -> None:
        """Note that the client does not read: from now on it is waited for."""
        self._writable = asyncio.Event()
        self._wait_for_reader()

    def note_read(self) -> None:
        """Note that the client has read, and let who waits for it go on."""
        writable, self._writable = self._writable, None
        if writable is not None:
            writable.set()

    async def drain(self) -> None:
        """Wait until the client has read most of what was written."""
        while self._writable is not None:
            await self._writable.wait()

    def _wait_for_reader(self) -> None:
        self._waits_since = self._unread_at = self._loop.time()
        self._unread_bytes = 0

    # The end

    def _end(self) -> None:
        """End after an answer: say that nothing more comes, and drop for a while what still arrives."""
        if self._is_half_closed or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()
            if not self._is_reading:
                self._is_reading = True
                self._transport.resume_reading()
        self._watch_end()

    def _close(self) -> None:
        """End as soon as what was written has been read."""
        self._transport.close()
        self._watch_end()

    def _watch_end(self) -> None:
        self._is_ending = True
        self._forget_requests()
        self._wait_for_reader()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(LINGER_SECONDS, self._look)

    def _look(self) -> None:
        """End what has lasted too long."""
        if not self._is_ending and self._transport.is_closing():
            self._watch_end()
            return
        now = self._loop.time()
        is_waiting = self._is_ending or self._writable is not None
        limit, since = self._find_read_limit(now) if is_waiting else self._find_limit()
        if now - since < limit:
            wait = max(min(limit - (now - since), LOOK_SECONDS), MIN_LOOK_SECONDS)
            self._timer = self._loop.call_later(wait, self._look)
        elif is_waiting:
            self._transport.abort()
        else:
            self._on_overdue()

    def _find_read_limit(self, now: float) -> tuple[float, float]:
        """Wait for a client that reads, but not for ever."""
        unread = self._transport.get_write_buffer_size()
        if unread < self._unread_bytes:
            self._unread_at = now
        self._unread_bytes = unread
        if self._is_ending and not unread:
            return LINGER_SECONDS, self._waits_since
        if now - self._waits_since > ANSWER_SECONDS:
            return 0.0, now
        return WRITE_SECONDS, self._unread_at
