"""A breaker: a shard that mostly fails is not asked for a while, so that nobody waits for what will not come."""

from time import monotonic

WINDOW_SECONDS = 1.0
MIN_CALLS = 20
FAILED_SHARE = 0.5
OPEN_SECONDS = 5.0


class CircuitBreaker:
    """Opens when half of 20 or more checks within a second fail; after 5 s one batch tries, and decides."""

    def __init__(self) -> None:
        self.opened = 0
        """How often, since the start."""
        self._calls = 0
        self._failures = 0
        self._window_ends = 0.0
        self._open_until = 0.0
        self._is_trying = False

    def may_pass(self) -> bool:
        """Whether to ask at all; after an open phase the first to ask is the trial."""
        if self._open_until == 0.0:
            return True
        if self._is_trying or monotonic() < self._open_until:
            return False
        self._is_trying = True
        return True

    def close(self) -> None:
        """The shard answers again."""
        self._open_until, self._is_trying = 0.0, False
        self._calls = self._failures = 0

    def succeeded(self, calls: int) -> None:
        if self._open_until:
            self.close()
        self._count(calls, 0)

    def failed(self, calls: int) -> None:
        self._count(calls, calls)
        is_bad = self._calls >= MIN_CALLS and self._failures >= self._calls * FAILED_SHARE
        if self._is_trying or (is_bad and not self._open_until):
            self.opened += 1
            self._open_until, self._is_trying = monotonic() + OPEN_SECONDS, False

    def _count(self, calls: int, failures: int) -> None:
        now = monotonic()
        if now >= self._window_ends:
            self._window_ends, self._calls, self._failures = now + WINDOW_SECONDS, 0, 0
        self._calls += calls
        self._failures += failures
