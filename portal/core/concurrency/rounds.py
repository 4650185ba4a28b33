"""How a process's loops fare: when each last did all that was due, and since when it fails. For probes and metrics."""

from math import nan
from time import monotonic, time

HUNG_SECONDS = 1800.0
FAILING_SECONDS = 60.0


class Rounds:
    """The rounds of one loop. `succeeded_at` is Unix time, NaN before the first success; the others are monotonic."""

    __slots__ = ("_begun_at", "_failing_since", "failure_count", "succeeded_at")

    def __init__(self) -> None:
        self.succeeded_at = nan
        self.failure_count = 0
        self._begun_at: float | None = None
        self._failing_since: float | None = None

    def begin(self) -> None:
        """Note that a round is under way."""
        self._begun_at = monotonic()

    def succeed(self) -> None:
        """Note that all that was due is done."""
        self.succeeded_at = time()
        self._begun_at = self._failing_since = None

    def fail(self) -> None:
        """Note that a round failed; it is tried again."""
        self.failure_count += 1
        self._begun_at = None
        if self._failing_since is None:
            self._failing_since = monotonic()

    @property
    def is_well(self) -> bool:
        """Return whether it neither hangs in a round nor has failed for a minute."""
        now = monotonic()
        is_hung = self._begun_at is not None and now - self._begun_at > HUNG_SECONDS
        has_failed = self._failing_since is not None and now - self._failing_since > FAILING_SECONDS
        return not (is_hung or has_failed)


ROUNDS: dict[str, Rounds] = {}
"""Of every loop of this process, by the worker's name."""


def rounds_of(name: str) -> Rounds:
    """Return the rounds of a loop, the same ones each time."""
    return ROUNDS.setdefault(name, Rounds())
