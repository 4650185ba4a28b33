"""What the exactness proof asks for: a few subjects of each algorithm, small limits, mixed costs, and its oracle."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from portal.limits import Bucket, LimitRequest, Mode, Quota, Seed, Subject, Window

KEYS = 4
COSTS = (1, 1, 2, 1, 5, 1, 1, 3)
WINDOWS = (Window(100, 100_000), Window(600, 1_000_000))
BUCKET = Bucket(150, 300, 499_979)
QUOTA = 500
PERIOD_US = 997_001
ALGORITHMS = ("sliding_window", "token_bucket", "calendar")

Units = tuple[int, int]
"""An instant by Redis's clock (µs) and the units that were admitted or asked for at it."""


def request_of(algorithm: str, name: str, cost: int, now_us: int) -> LimitRequest:
    """`now_us` need only be about right: a quota knows the period that it lies in and the next one."""
    if algorithm == "calendar":
        return LimitRequest(name, 1, Mode.CONSUME, cost, (), Quota(QUOTA, periods_at(now_us)), Seed(1, {}))
    subject = Subject(name, WINDOWS) if algorithm == "sliding_window" else Subject(name, bucket=BUCKET)
    return LimitRequest(name, 0, Mode.CONSUME, cost, (subject,), None)


def periods_at(now_us: int) -> tuple[tuple[str, int, int], tuple[str, int, int]]:
    number = now_us // PERIOD_US
    return _period(number), _period(number + 1)


def _period(number: int) -> tuple[str, int, int]:
    return str(number), number * PERIOD_US, (number + 1) * PERIOD_US


@dataclass(frozen=True)
class Judged:
    """`most` of `allowed` units by name of the bound; `wrong` denials among those looked at."""

    most: dict[str, tuple[int, int]]
    wrong: int

    @property
    def over(self) -> int:
        """Units above what is allowed, in the worst place of each bound."""
        return sum(max(0, most - allowed) for most, allowed in self.most.values())


class Ledger:
    """The admitted units of one subject, in the order of their instants."""

    def __init__(self, admitted: Iterable[Units]) -> None:
        self.entries = sorted(admitted)
        self.instants = [at for at, _ in self.entries]
        self._totals = [0, *accumulate(units for _, units in self.entries)]

    def within(self, at: int, window_us: int) -> int:
        """Units in the half-open window that ends with `at`."""
        return self._totals[bisect_right(self.instants, at)] - self._totals[bisect_right(self.instants, at - window_us)]

    def judge(self, algorithm: str, denied: Iterable[Units]) -> Judged:
        judge = {"sliding_window": self._by_windows, "token_bucket": self._by_bucket, "calendar": self._by_periods}
        return judge[algorithm](denied)

    def _by_windows(self, denied: Iterable[Units]) -> Judged:
        most = {
            f"units in {window.window_us / 1000:g} ms": (
                max((self.within(at, window.window_us) for at in self.instants), default=0),
                window.amount,
            )
            for window in WINDOWS
        }
        wrong = sum(
            all(self.within(at, window.window_us) + cost <= window.amount for window in WINDOWS) for at, cost in denied
        )
        return Judged(most, wrong)

    def _by_bucket(self, denied: Iterable[Units]) -> Judged:
        """In whole numbers: a unit weighs `window_us`, and `amount` leaks each microsecond."""
        full, levels, level, before = BUCKET.capacity * BUCKET.window_us, [], 0, 0
        for at, units in self.entries:
            level = max(0, level - (at - before) * BUCKET.amount) + units * BUCKET.window_us
            before = at
            levels.append(level)

        def level_at(at: int) -> int:
            index = bisect_right(self.instants, at) - 1
            return 0 if index < 0 else max(0, levels[index] - (at - self.instants[index]) * BUCKET.amount)

        wrong = sum(level_at(at) + cost * BUCKET.window_us <= full for at, cost in denied)
        return Judged({"level of the bucket": (max(levels, default=0), full)}, wrong)

    def _by_periods(self, denied: Iterable[Units]) -> Judged:
        used: Counter[int] = Counter()
        for at, units in self.entries:
            used[at // PERIOD_US] += units
        wrong = sum(used[at // PERIOD_US] + cost <= QUOTA for at, cost in denied)
        return Judged({"units in a period": (max(used.values(), default=0), QUOTA)}, wrong)
