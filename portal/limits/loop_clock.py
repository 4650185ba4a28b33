"""Time as this process could use it: a stall of its own event loop is nobody else's lateness.

Whoever judges a neighbour by the wall clock blames it for one's own garbage collection, long requests and frozen
machine. This clock ticks by a timer of the loop. A tick that fires late counts for twice its length at most, so a
stalled turn, however long, uses up a fraction of a deadline, and the deadline moves by the rest.

After a stall timers fire before sockets are read. So watchers are told the time of the tick before: what had arrived by
then has been read, and only what is still missing is late.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic

Watcher = Callable[[float], bool]
"""Called each tick with the time; returns whether it still waits for something."""


class LoopClock:
    """Seconds since it first ticked. It ticks while a watcher waits, and stands still otherwise."""

    def __init__(self, tick_seconds: float) -> None:
        self.ticked = 0.0
        """The time at the last tick: for who must know it cheaply."""
        self._tick_seconds = tick_seconds
        self._max_tick_seconds = 2 * tick_seconds
        self._ticked_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._watchers: list[Watcher] = []

    def now(self) -> float:
        """Return the time; from now on it passes."""
        if self._timer is None:
            self._ticked_at = monotonic()
            self._timer = asyncio.get_running_loop().call_later(self._tick_seconds, self._tick)
            return self.ticked
        return self.ticked + min(monotonic() - self._ticked_at, self._max_tick_seconds)

    def watch(self, watcher: Watcher) -> None:
        """Tell `watcher` of every tick. A wait begins with `now`, which lets the clock tick."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        """Tell `watcher` nothing more. Idempotent."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)

    @asynccontextmanager
    async def timeout(self, seconds: float) -> AsyncIterator[None]:
        """Raise TimeoutError when the block takes longer by this clock; otherwise as asyncio.timeout."""
        ends = self.now() + seconds
        async with asyncio.timeout(None) as scope:

            def expire(now: float) -> bool:
                if now < ends:
                    return True
                self.unwatch(expire)
                scope.reschedule(0)
                return False

            self.watch(expire)
            try:
                yield
            finally:
                self.unwatch(expire)

    def _tick(self) -> None:
        self._timer = None
        read_until, now = self.ticked, monotonic()
        self.ticked += min(now - self._ticked_at, self._max_tick_seconds)
        self._ticked_at = now
        waiting = [watcher(read_until) for watcher in tuple(self._watchers)]
        if any(waiting) and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._tick_seconds, self._tick)
