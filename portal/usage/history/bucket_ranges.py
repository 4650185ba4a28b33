"""Which buckets add up to which steps, so that few of them are read. Pure.

A local day cuts through two days in UTC. Its sum is that of the whole days between the midnights in UTC that are
nearest to its borders, more or less the quarter-hours between each border and its midnight. That is exact, since days
and quarter-hours are written in one transaction, and for a zone near UTC it reads a twelfth of the quarter-hours.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from portal.usage.rules import DAY, Granularity, ceil_to, floor_to

_TABLES = {Granularity.MINUTE: "usage_minutes", Granularity.HOUR: "usage_quarters"}
NO_STEP = 0


class BucketRange(NamedTuple):
    """Buckets of [start, end) that count towards one step (from 1) and are taken from another; 0 is no step."""

    start: datetime
    end: datetime
    adds_to: int
    takes_from: int


BucketPlan = Mapping[str, Sequence[BucketRange]]
"""By table, the ranges that add up to the steps."""


def plan_buckets(starts: Sequence[datetime], end: datetime, granularity: Granularity) -> BucketPlan:
    """Return the ranges for steps that begin at `starts` and, the last one, end at `end`.

    All are multiples of a quarter-hour, for MINUTE of a minute.
    """
    borders = [*starts, end]
    if granularity in _TABLES:
        return {_TABLES[granularity]: _steps(borders)}
    midnights = [_nearest_midnight(border) for border in borders]
    edges = [
        _edge(border, midnight, number, len(starts))
        for number, (border, midnight) in enumerate(zip(borders, midnights, strict=True))
        if border != midnight
    ]
    plan = {"usage_days": _steps(midnights), "usage_quarters": edges}
    return {table: ranges for table, ranges in plan.items() if ranges}


def steps_of(plan: BucketPlan, table: str, bucket_at: datetime) -> list[tuple[int, int]]:
    """Return (step, +1 or -1) for each step that a bucket changes: as the statement does, without a database."""
    signed = [
        sign
        for bucket_range in plan.get(table, ())
        if bucket_range.start <= bucket_at < bucket_range.end
        for sign in ((bucket_range.adds_to, 1), (bucket_range.takes_from, -1))
    ]
    return [(step, sign) for step, sign in signed if step != NO_STEP]


def _steps(borders: Sequence[datetime]) -> list[BucketRange]:
    steps = enumerate(pairwise(borders), start=1)
    return [BucketRange(start, end, number, NO_STEP) for number, (start, end) in steps if start < end]


def _nearest_midnight(instant: datetime) -> datetime:
    before, after = floor_to(instant, DAY), ceil_to(instant, DAY)
    return before if instant - before <= after - instant else after


def _edge(border: datetime, midnight: datetime, number: int, steps: int) -> BucketRange:
    """Return the quarter-hours between a border and its midnight; step `number` ends at the border."""
    following = number + 1 if number < steps else NO_STEP
    if border < midnight:
        return BucketRange(border, midnight, following, number)
    return BucketRange(midnight, border, number, following)
