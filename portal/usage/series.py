"""Usage of an account over time: every step of the local calendar, zeros included, exact to the unit.

The range is widened to the borders of the buckets that serve it: minutes for MINUTE, quarter-hours otherwise. The
answer says which range that is, and its totals equal the sum over the raw events in exactly that range.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from portal.core.database import Tx
from portal.usage import store
from portal.usage.rules import Granularity, aligned_range, sources, step_starts, zone_named

GROUPS_MOST = 20


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
    """`start` and `end` are the range after widening. `fresh_at`: when the newest ingested event happened.

    Events younger than that may still come, from other nodes. Without any event it is the time of asking.
    """

    start: datetime
    end: datetime
    granularity: Granularity
    time_zone: str
    fresh_at: datetime
    totals: UsageTotals
    groups: list[UsageGroupTotals]
    points: list[UsagePoint]


async def usage_series(tx: Tx, account_id: str, query: UsageQuery) -> UsageSeries:
    """Raises Invalid for a range, zone or number of points that cannot be served."""
    zone = zone_named(query.time_zone)
    start, end = aligned_range(query.start, query.end, query.granularity)
    starts = step_starts(start, end, query.granularity, zone)
    cells = store.CellQuery(
        sources=sources(start, end, query.granularity, zone),
        starts=starts,
        part=query.group_by and query.group_by.value,
        only=_only(query.filter),
        parts_most=GROUPS_MOST,
    )
    rows = await store.list_cells(tx, account_id, cells)
    points = _points(starts, rows, is_grouped=query.group_by is not None)
    return UsageSeries(
        start=start,
        end=end,
        granularity=query.granularity,
        time_zone=query.time_zone,
        fresh_at=await store.find_newest(tx, account_id) or tx.now,
        totals=_sum(point.totals for point in points),
        groups=_groups(points),
        points=points,
    )


def _only(chosen: UsageFilter) -> dict[str, str]:
    columns: Mapping[str, str | None] = {
        "key_id": chosen.key_id,
        "resource": chosen.resource,
        "outcome": chosen.outcome,
        "environment": chosen.environment,
    }
    return {column: value for column, value in columns.items() if value is not None}


def _points(starts: list[datetime], rows: Iterable[Row[Any]], *, is_grouped: bool) -> list[UsagePoint]:
    found: dict[int, list[UsageGroupTotals]] = {}
    for row in rows:
        totals = UsageTotals(row.calls, row.units, row.allowed, row.billable)
        found.setdefault(row.step, []).append(UsageGroupTotals(row.part, totals))
    points = []
    for step, at in enumerate(starts, start=1):
        groups = _ranked(found.get(step, []))
        points.append(UsagePoint(at, _sum(group.totals for group in groups), groups if is_grouped else []))
    return points


def _groups(points: list[UsagePoint]) -> list[UsageGroupTotals]:
    sums: dict[str, UsageTotals] = {}
    for point in points:
        for group in point.groups:
            sums[group.key] = sums.get(group.key, UsageTotals()) + group.totals
    return _ranked([UsageGroupTotals(key, totals) for key, totals in sums.items()])


def _ranked(groups: list[UsageGroupTotals]) -> list[UsageGroupTotals]:
    """The most calls first, the rest of all last."""
    return sorted(groups, key=lambda group: (group.key == store.OTHER, -group.totals.calls, group.key))


def _sum(totals: Iterable[UsageTotals]) -> UsageTotals:
    return sum(totals, UsageTotals())
