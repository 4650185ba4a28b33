"""Usage of an account over time: every step of the local calendar, zeros included, exact to the unit.

The range is widened to the borders of the buckets that serve it: minutes for MINUTE, quarter-hours otherwise. The
answer says which range that is, and its totals equal the sum over the raw events in exactly that range. Quarter-hours
serve every time zone: all offsets since 1972 are multiples of one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import reduce
from operator import add
from typing import Any

from sqlalchemy import Row

from portal.core.database import Tx
from portal.usage.history import store
from portal.usage.history.bucket_ranges import BucketPlan, plan_buckets
from portal.usage.records import OTHER
from portal.usage.rules import Granularity, aligned_range, parse_zone, range_before, step_starts

MAX_GROUPS = 20


class UsageGroup(StrEnum):
    KEY = "key_id"
    RESOURCE = "resource"
    OUTCOME = "outcome"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class UsageFilter:
    key_id: str | None = None
    resource: str | None = None
    outcome: str | None = None
    environment: str | None = None

    def columns(self) -> dict[str, str]:
        """Return the values that are filtered by, by column of the buckets."""
        return {column: value for column, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """[start, end), both aware."""

    start: datetime
    end: datetime
    granularity: Granularity = Granularity.DAY
    group_by: UsageGroup | None = None
    filter: UsageFilter = field(default_factory=UsageFilter)
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """`allowed` are calls answered VALID; `billable` are the units of those on live keys."""

    calls: int = 0
    units: int = 0
    allowed: int = 0
    billable: int = 0

    @property
    def denied(self) -> int:
        return self.calls - self.allowed

    def __add__(self, other: "UsageTotals") -> "UsageTotals":
        return UsageTotals(
            self.calls + other.calls,
            self.units + other.units,
            self.allowed + other.allowed,
            self.billable + other.billable,
        )


@dataclass(frozen=True, slots=True)
class UsageGroupTotals:
    """`key` is the group's value, or `other` for all beyond the twenty with the most calls."""

    key: str
    totals: UsageTotals


@dataclass(frozen=True, slots=True)
class UsagePoint:
    """One step that begins at `at`; groups without a call in it are left out."""

    at: datetime
    totals: UsageTotals
    groups: list[UsageGroupTotals]


@dataclass(frozen=True, slots=True)
class UsageSeries:
    """`start` and `end` are the range after widening."""

    start: datetime
    end: datetime
    granularity: Granularity
    time_zone: str
    totals: UsageTotals
    groups: list[UsageGroupTotals]
    points: list[UsagePoint]


async def usage_series(tx: Tx, account_id: str, query: UsageQuery) -> UsageSeries:
    """Return every step of the range with its totals, zeros included.

    Raises Invalid for a range, zone or number of points that cannot be served.
    """
    zone = parse_zone(query.time_zone)
    start, end = aligned_range(query.start, query.end, query.granularity)
    starts = step_starts(start, end, query.granularity, zone)
    rows = await store.list_cells(
        tx, account_id, _cell_query(query, plan_buckets(starts, end, query.granularity), MAX_GROUPS)
    )
    points = _points(starts, rows, is_grouped=query.group_by is not None)
    return UsageSeries(
        start=start,
        end=end,
        granularity=query.granularity,
        time_zone=query.time_zone,
        totals=_sum([point.totals for point in points]),
        groups=_groups(points),
        points=points,
    )


async def count_calls(tx: Tx, account_id: str, start: datetime, end: datetime, usage_filter: UsageFilter) -> int:
    """Count the calls of [start, end), both at a quarter-hour, that match a filter."""
    plan = plan_buckets([start], end, Granularity.DAY)
    cells = await store.list_cells(tx, account_id, store.CellQuery(plan, None, usage_filter.columns(), 1))
    return int(sum(cell.calls for cell in cells))


async def counted_until(tx: Tx, account_id: str) -> datetime:
    """Return when the newest ingested event happened; without any event, now.

    Younger events may still come, from other nodes.
    """
    return await store.find_newest(tx, account_id) or tx.now


async def top_usage(tx: Tx, account_id: str, query: UsageQuery, limit: int) -> list[UsageGroupTotals]:
    """Return the `limit` groups with the most calls in the whole range, then the rest as `other`. Raises Invalid."""
    parse_zone(query.time_zone)
    start, end = aligned_range(query.start, query.end, Granularity.DAY)
    rows = await store.list_cells(
        tx, account_id, _cell_query(query, plan_buckets([start], end, Granularity.DAY), limit)
    )
    return _groups(_points([start], rows, is_grouped=True))


def query_before(query: UsageQuery) -> UsageQuery:
    """Return the same query about the range before: as many months, days or hours. Raises Invalid."""
    zone = parse_zone(query.time_zone)
    start, end = aligned_range(query.start, query.end, query.granularity)
    start, end = range_before(start, end, zone)
    return replace(query, start=start, end=end)


def _cell_query(query: UsageQuery, plan: BucketPlan, max_groups: int) -> store.CellQuery:
    group_by = None if query.group_by is None else query.group_by.value
    return store.CellQuery(plan, group_by, query.filter.columns(), max_groups)


def _points(starts: list[datetime], rows: Iterable[Row[Any]], *, is_grouped: bool) -> list[UsagePoint]:
    by_step: dict[int, list[UsageGroupTotals]] = {}
    for row in rows:
        by_step.setdefault(row.step, []).append(UsageGroupTotals(row.part, UsageTotals(*row[2:])))
    points = []
    for step, at in enumerate(starts, start=1):
        groups = _ranked(by_step.get(step, []))
        points.append(UsagePoint(at, _sum([group.totals for group in groups]), groups if is_grouped else []))
    return points


def _groups(points: list[UsagePoint]) -> list[UsageGroupTotals]:
    sums: dict[str, UsageTotals] = {}
    for point in points:
        for group in point.groups:
            sums[group.key] = sums.get(group.key, UsageTotals()) + group.totals
    return _ranked([UsageGroupTotals(key, totals) for key, totals in sums.items()])


def _ranked(groups: list[UsageGroupTotals]) -> list[UsageGroupTotals]:
    """Sort by calls, the most first and `other` last."""
    return sorted(groups, key=lambda group: (group.key == OTHER, -group.totals.calls, group.key))


def _sum(totals: Sequence[UsageTotals]) -> UsageTotals:
    return reduce(add, totals) if totals else UsageTotals()
