"""What this process counts of its check routes: plain numbers, added to where an answer leaves and read when scraped.

They belong to the process, as everything under /metrics does, and cost a check about a quarter of a microsecond.
"""

from bisect import bisect_left
from collections import Counter
from time import monotonic

OK = 200
SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency histogram's buckets; the last bucket has none."""


class RouteCounters:
    """The requests of one route. `buckets` holds, not added up, how many took at most the bound at that place."""

    __slots__ = ("_not_ok", "_ok_count", "buckets", "seconds", "started")

    def __init__(self) -> None:
        self.started = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(SECONDS) + 1)
        self._not_ok: Counter[int] = Counter()
        self._ok_count = 0

    def finish(self, status: int, began_at: float) -> None:
        """Count an answer to a request whose last byte came at `began_at` (monotonic seconds)."""
        seconds = monotonic() - began_at
        self.seconds += seconds
        self.buckets[bisect_left(SECONDS, seconds)] += 1
        if status != OK:
            self._not_ok[status] += 1

    @property
    def in_flight(self) -> int:
        """Return how many requests wait for their answer."""
        return max(0, self.started - sum(self.buckets))

    def statuses(self) -> dict[int, int]:
        """Return the number of answers by status, none of which ever shrinks, whatever is counted meanwhile."""
        total, not_ok = sum(self.buckets), dict(self._not_ok)
        self._ok_count = max(self._ok_count, total - sum(not_ok.values()))
        return {OK: self._ok_count, **not_ok}


class CheckCounters:
    """Every route's counters, and the checks that got no decision by `reason`, each of a batch for itself."""

    def __init__(self) -> None:
        self.routes: dict[str, RouteCounters] = {}
        self.errors: Counter[str] = Counter()

    def route(self, path: str) -> RouteCounters:
        """Return the counters of a route, the same ones each time."""
        return self.routes.setdefault(path, RouteCounters())


COUNTERS = CheckCounters()
