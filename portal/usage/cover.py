"""Which buckets add up to which steps, so that few of them are read. Pure.

A local day cuts through two days in UTC. Its sum is that of the whole days between the midnights in UTC that are
nearest to its borders, more or less the quarter-hours between each border and its midnight. That is exact, since days
and quarter-hours are written in one transaction, and for a zone near UTC it reads a twelfth of the quarter-hours.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from portal.usage.rules import DAY, Granularity, ceil_to, floor_to

_TABLES = {Granularity.MINUTE: "usage_minutes", Granularity.HOUR: "usage_quarters"}
NO_STEP = 0


@dataclass(frozen=True, slots=True)
class Edge:
    """Quarter-hours of [start, end) that step `gains` has and step `loses` has not; 0 is no step."""

    start: datetime
    end: datetime
    gains: int
    loses: int


@dataclass(frozen=True, slots=True)
class Cover:
    """Buckets of `table` in [start, end), where step n (from 1) begins at `starts[n - 1]`, corrected by `edges`."""

    table: str
    start: datetime
    end: datetime
    starts: list[datetime]
    edges: list[Edge]


def cover(starts: Sequence[datetime], end: datetime, granularity: Granularity) -> Cover:
    """Of steps that begin at `starts`, multiples of a quarter-hour (for MINUTE of a minute), the last until `end`."""
    if granularity in _TABLES:
        return Cover(_TABLES[granularity], starts[0], end, [*starts], [])
    borders = [*starts, end]
    midnights = [_nearest_midnight(border) for border in borders]
    edges = [
        _edge(border, midnight, number, len(starts))
        for number, (border, midnight) in enumerate(zip(borders, midnights, strict=True))
        if border != midnight
    ]
    return Cover("usage_days", midnights[0], midnights[-1], midnights[:-1], edges)


def steps_of(covered: Cover, table: str, bucket_at: datetime) -> list[tuple[int, int]]:
    """(step, +1 or -1) for all that a bucket counts in: what the statement does, to be tested without a database."""
    found = []
    if table == covered.table and covered.start <= bucket_at < covered.end:
        found.append((bisect_right(covered.starts, bucket_at), 1))
    for edge in covered.edges if table == "usage_quarters" else ():
        if edge.start <= bucket_at < edge.end:
            found += [(step, sign) for step, sign in ((edge.gains, 1), (edge.loses, -1)) if step != NO_STEP]
    return found


def _nearest_midnight(instant: datetime) -> datetime:
    before, after = floor_to(instant, DAY), ceil_to(instant, DAY)
    return before if instant - before <= after - instant else after


def _edge(border: datetime, midnight: datetime, number: int, steps: int) -> Edge:
    """`number` steps end up to and with this border; the next one begins at it."""
    following = number + 1 if number < steps else NO_STEP
    if border < midnight:
        return Edge(border, midnight, following, number)
    return Edge(midnight, border, number, following)
