"""Request ids: 56 bits of decision time (µs), 40 bits of this process incarnation, 32 bits of a counter.

The time of usage derives from the id, so both ledgers always agree on the month.
"""

import secrets
from time import monotonic_ns

from portal.core.clock import to_microseconds, utc_now
from portal.core.ids import decode_128, encode_30, encode_128

ENDING_LENGTH, ENDING_BITS = 6, 30
ENDING_MASK = (1 << ENDING_BITS) - 1


class RequestIds:
    """The ids of one process, and its estimate of Redis's clock for decisions in which Redis had no part."""

    def __init__(self) -> None:
        self._node = secrets.randbits(40) << 32
        self._counter = 0
        self._decided_us, self._prefix = -1, ""
        self._synced_us = 0
        self._offset_us = to_microseconds(utc_now()) - monotonic_ns() // 1000

    def next(self, decided_us: int) -> str:
        """Return a new id for a decision of this time."""
        counter = self._counter = (self._counter + 1) & 0xFFFFFFFF
        ending = counter & ENDING_MASK
        if decided_us != self._decided_us or not ending:
            # All checks of one script call were decided at one instant: their ids differ in the ending alone.
            self._decided_us = decided_us
            self._prefix = "req_" + encode_128(decided_us << 72 | self._node | counter)[:-ENDING_LENGTH]
        return self._prefix + encode_30(ending)

    def with_time(self, request_id: str, decided_us: int) -> str:
        """Return the id of a stored draft (drawn for time 0) once its time is known."""
        return "req_" + encode_128(decode_128(request_id[4:]) | decided_us << 72)

    def sync_clock(self, redis_now_us: int) -> None:
        """Take over the time of a reply."""
        if redis_now_us != self._synced_us:  # all checks of one script call bring the same
            self._synced_us = redis_now_us
            self._offset_us = redis_now_us - monotonic_ns() // 1000

    def now_us(self) -> int:
        """Return Redis's clock as far as this process knows it."""
        return monotonic_ns() // 1000 + self._offset_us

    def clock_error_seconds(self) -> float:
        """Return how far this machine's clock is before Redis's, below 0 where it is behind."""
        return (to_microseconds(utc_now()) - self.now_us()) / 1_000_000
