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
    """Buckets of [start, end) that step `gains` (from 1) has and step `loses` has not; 0 is no step."""

    start: datetime
    end: datetime
    adds_to_step: int
    subtracts_from_step: int


BucketPlan = Mapping[str, Sequence[BucketRange]]
"""By table, what adds up to the steps."""


def plan_buckets(starts: Sequence[datetime], end: datetime, granularity: Granularity) -> BucketPlan:
    """Of steps that begin at `starts`, multiples of a quarter-hour (for MINUTE of a minute), the last until `end`."""
    borders = [*starts, end]
    if granularity in _TABLES:
        return {_TABLES[granularity]: _steps(borders)}
    midnights = [_nearest_midnight(border) for border in borders]
    edges = [
        _edge(border, midnight, number, len(starts))
        for number, (border, midnight) in enumerate(zip(borders, midnights, strict=True))
        if border != midnight
    ]
    spans = {"usage_days": _steps(midnights), "usage_quarters": edges}
    return {table: found for table, found in spans.items() if found}


def steps_of(covered: BucketPlan, table: str, bucket_at: datetime) -> list[tuple[int, int]]:
    """(step, +1 or -1) for all that a bucket counts in: what the statement does, to be tested without a database."""
    signed = [
        sign
        for span in covered.get(table, ())
        if span.start <= bucket_at < span.end
        for sign in ((span.adds_to_step, 1), (span.subtracts_from_step, -1))
    ]
    return [(step, sign) for step, sign in signed if step != NO_STEP]


def _steps(borders: Sequence[datetime]) -> list[BucketRange]:
    steps = enumerate(pairwise(borders), start=1)
    return [BucketRange(start, end, number, NO_STEP) for number, (start, end) in steps if start < end]


def _nearest_midnight(instant: datetime) -> datetime:
    before, after = floor_to(instant, DAY), ceil_to(instant, DAY)
    return before if instant - before <= after - instant else after


def _edge(border: datetime, midnight: datetime, number: int, steps: int) -> BucketRange:
    """`number` steps end up to and with this border; the next one begins at it."""
    following = number + 1 if number < steps else NO_STEP
    if border < midnight:
        return BucketRange(border, midnight, following, number)
    return BucketRange(midnight, border, number, following)
