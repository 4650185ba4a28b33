"""The part of each limit that a process may admit by itself while Redis is away: of checks, sign-ins, GraphQL.

Each of `processes` admits at most 1/processes of a limit: of a sliding window that part of its amount, rounded down; of
a bucket that part of its capacity, refilled at that part of its rate. So all of them together stay inside the limit,
whichever is asked. Always on the strict side: a unit may stay counted for a hundredth of its window longer than it
must, and where there is no room for another counter the answer is no.
"""

from collections import deque
from collections.abc import Sequence

from portal.limits.requests import ADMITS, NEVER, Bucket, Subject, Window

MAX_COUNTERS = 10_000
SLOTS = 100
SWEEP_EVERY_US = 1_000_000


class _WindowCounter:
    """What was admitted and when, in at most SLOTS + 1 entries."""

    __slots__ = ("_amount", "_entries", "_length", "_slot", "_used")

    def __init__(self, window: Window, processes: int) -> None:
        self._amount = window.amount // processes
        self._length = window.window_us
        self._slot = max(1, window.window_us // SLOTS)
        self._entries: deque[tuple[int, int]] = deque()
        self._used = 0

    def wait_us(self, now_us: int, cost: int) -> int:
        self._forget(now_us)
        over = self._used + cost - self._amount
        if over <= 0:
            return ADMITS
        if cost > self._amount:
            return NEVER
        for at_us, units in self._entries:
            over -= units
            if over <= 0:
                return at_us + self._length - now_us
        raise AssertionError("what is over the limit is in its window")

    def add(self, now_us: int, cost: int) -> None:
        self._used += cost
        if self._entries and self._entries[-1][0] // self._slot == now_us // self._slot:
            cost += self._entries.pop()[1]
        self._entries.append((now_us, cost))

    def is_idle(self, now_us: int) -> bool:
        self._forget(now_us)
        return not self._entries

    def _forget(self, now_us: int) -> None:
        while self._entries and self._entries[0][0] <= now_us - self._length:
            self._used -= self._entries.popleft()[1]


class _BucketCounter:
    """A level as token_bucket.lua keeps it, in which a unit weighs as much as `processes` units."""

    __slots__ = ("_amount", "_at_us", "_full", "_level", "_unit")

    def __init__(self, bucket: Bucket, processes: int) -> None:
        self._amount = bucket.amount
        self._unit = bucket.window_us * processes
        self._full = bucket.capacity * bucket.window_us
        self._level = 0
        self._at_us = 0

    def wait_us(self, now_us: int, cost: int) -> int:
        self._leak(now_us)
        above = self._level + cost * self._unit - self._full
        if above <= 0:
            return ADMITS
        return NEVER if cost * self._unit > self._full else -(-above // self._amount)

    def add(self, now_us: int, cost: int) -> None:
        self._leak(now_us)
        self._level += cost * self._unit

    def is_idle(self, now_us: int) -> bool:
        self._leak(now_us)
        return self._level == 0

    def _leak(self, now_us: int) -> None:
        self._level = max(0, self._level - max(0, now_us - self._at_us) * self._amount)
        self._at_us = now_us


_Counter = _WindowCounter | _BucketCounter
Demands = Sequence[tuple[Subject, int]]
"""Units of each subject."""


class LocalLimiter:
    """The counters of one process. Instants are monotonic microseconds."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._counters: dict[tuple[str, Window | Bucket], _Counter] = {}
        self._swept_us = -SWEEP_EVERY_US

    def __len__(self) -> int:
        return len(self._counters)

    def waits(self, demands: Demands, now_us: int) -> list[int]:
        """Return what to wait for each limit, in the order of a decision's states: ADMITS, NEVER, or microseconds."""
        counters = self._counters_of(demands, now_us)
        return [NEVER if counter is None else counter.wait_us(now_us, cost) for counter, cost in counters]

    def take(self, demands: Demands, now_us: int) -> int:
        """Count the demands if every limit admits them; return ADMITS, or the longest wait (NEVER, or microseconds)."""
        waits = [wait for wait in self.waits(demands, now_us) if wait != ADMITS]
        if not waits:
            self.count(demands, now_us)
            return ADMITS
        return NEVER if NEVER in waits else max(waits)

    def count(self, demands: Demands, now_us: int) -> None:
        """Count what every limit has just admitted."""
        for counter, cost in self._counters_of(demands, now_us):
            if counter is not None and cost:
                counter.add(now_us, cost)

    def _counters_of(self, demands: Demands, now_us: int) -> list[tuple[_Counter | None, int]]:
        found: list[tuple[_Counter | None, int]] = []
        for subject, cost in demands:
            limits: Sequence[Window | Bucket] = (subject.bucket,) if subject.bucket else subject.windows
            found += [(self._counter(subject.name, limit, now_us), cost) for limit in limits]
        return found

    def _counter(self, name: str, limit: Window | Bucket, now_us: int) -> _Counter | None:
        """Return the counter of a limit; None: there are too many in use."""
        counter = self._counters.get((name, limit))
        if counter is None and self._has_room(now_us):
            kind = _WindowCounter if isinstance(limit, Window) else _BucketCounter
            counter = kind(limit, self._processes)  # type: ignore[arg-type]  # each is given its own kind of limit
            self._counters[name, limit] = counter
        return counter

    def _has_room(self, now_us: int) -> bool:
        """Return whether another counter fits. Only idle ones make room: without one, its limit would begin anew."""
        if len(self._counters) >= MAX_COUNTERS and now_us - self._swept_us >= SWEEP_EVERY_US:
            self._swept_us = now_us
            self._counters = {name: counter for name, counter in self._counters.items() if not counter.is_idle(now_us)}
        return len(self._counters) < MAX_COUNTERS
