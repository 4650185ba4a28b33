"""Is one side dearer? The ratio of paired measurements, with its 95 % interval. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

_T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""Student's t, 97.5 %, for 1 to 30 degrees of freedom."""
GATE = 1.02
"""Who is this much dearer is dearer."""


@dataclass(frozen=True, slots=True)
class Interval:
    """`ratio` is the geometric mean; with 95 % confidence the true one lies from `low` to `high`."""

    ratio: float
    low: float
    high: float


def ratio_interval(pairs: Sequence[tuple[float, float]]) -> Interval:
    """Return first ÷ second over all pairs, by Student's t on the logarithms. Raises ValueError for fewer than two.

    A pair is one round, in which whatever disturbed the machine disturbed both. Logarithms, since a ratio and its
    inverse must be equally far from 1.
    """
    if len(pairs) < 2:
        raise ValueError("an interval needs two rounds at least")
    logs = [math.log(first / second) for first, second in pairs]
    middle = fmean(logs)
    half = _t(len(logs) - 1) * stdev(logs) / math.sqrt(len(logs))
    return Interval(math.exp(middle), math.exp(middle - half), math.exp(middle + half))


def verdict(interval: Interval) -> str:
    """Return where the interval lies: `within` the gate, beyond it (`dearer`), or on both sides of it (`open`)."""
    if interval.high < GATE:
        return "within"
    return "dearer" if interval.low >= GATE else "open"


def _t(freedom: int) -> float:
    """The quantile; beyond the table to within 0.001."""
    return _T_975[freedom - 1] if freedom <= len(_T_975) else 1.96 + 2.5 / freedom
