"""Usage over time: totals, groups and points of any stretch, for the account or one key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Annotated, Self

import strawberry

from portal import usage
from portal.core.actor import Permission
from portal.core.errors import Invalid
from portal.graphql.engine.operation import Info
from portal.graphql.engine.pagination import check_first
from portal.graphql.engine.resolvers import requires, resolver
from portal.graphql.engine.scalars import BigInt, Environment, value

MAX_FIGURES = 4_000


@strawberry.enum(description="Length of a point.")
class Granularity(Enum):
    MINUTE = value("minute", "A minute. For ranges of at most 24 hours.")
    HOUR = value("hour", "An hour in the time zone.")
    DAY = value("day", "A day in the time zone.")
    MONTH = value("month", "A month in the time zone.")


@strawberry.enum(description="What usage is split by.")
class UsageGroup(Enum):
    KEY = value("key", "The key.")
    RESOURCE = value("resource", "The endpoint, as named by the gateway.")
    OUTCOME = value("outcome", "Code of the answer, like VALID.")
    ENVIRONMENT = value("environment", "Live or test.")


@strawberry.input(description="Selects usage. Omitted fields do not restrict.")
class UsageFilter:
    key_id: strawberry.ID | None = strawberry.field(default=None, description="Only this key.")
    resource: str | None = strawberry.field(default=None, description="Only this endpoint.")
    outcome: str | None = strawberry.field(default=None, description="Only answers with this code.")
    environment: Environment | None = strawberry.field(default=None, description="Only this environment.")


From = Annotated[datetime, strawberry.argument(name="from", description="Start of the range, inclusive.")]
To = Annotated[datetime, strawberry.argument(name="to", description="End of the range, exclusive.")]
Step = Annotated[Granularity, strawberry.argument(description="Length of a point.")]
GroupBy = Annotated[UsageGroup | None, strawberry.argument(description="What to split by; null for no split.")]
Where = Annotated[UsageFilter | None, strawberry.argument(name="filter", description="Count only this usage.")]
TimeZone = Annotated[str, strawberry.argument(description="IANA time zone whose days and months are used.")]


@strawberry.type(description="Totals over a period of time.")
class UsageTotals:
    calls: BigInt = strawberry.field(description="Number of checks, both allowed and denied.")
    units: BigInt = strawberry.field(description="Total cost of the checks, in units.")
    allowed: BigInt = strawberry.field(description="Number of checks answered with VALID.")
    denied: BigInt = strawberry.field(description="Number of checks answered with any other code.")
    billable: BigInt = strawberry.field(description="Units of allowed checks of live keys.")

    @classmethod
    def of(cls, totals: usage.UsageTotals) -> Self:
        return cls(
            calls=BigInt(totals.calls),
            units=BigInt(totals.units),
            allowed=BigInt(totals.allowed),
            denied=BigInt(totals.denied),
            billable=BigInt(totals.billable),
        )


@strawberry.type(description="Totals of one key, endpoint, outcome or environment.")
class UsageGroupTotals:
    key: str = strawberry.field(description="The key's id, endpoint, code or environment.")
    label: str = strawberry.field(description="Label for display: the key's name, otherwise the same as `key`.")
    totals: UsageTotals = strawberry.field(description="Totals of the group.")

    @classmethod
    def of(cls, group: usage.UsageGroupTotals, labels: Mapping[str, str]) -> Self:
        return cls(key=group.key, label=labels.get(group.key, group.key), totals=UsageTotals.of(group.totals))


@strawberry.type(description="A step of the series.")
class UsagePoint:
    at: datetime = strawberry.field(description="Start of the step.")
    totals: UsageTotals = strawberry.field(description="Totals of the step; zeros if nothing happened.")
    groups: list[UsageGroupTotals] = strawberry.field(description="Groups with at least one check.")


@strawberry.type(description="Usage of the preceding period, for comparison.")
class UsageBefore:
    start: datetime = strawberry.field(name="from", description="Start of the range, inclusive.")
    end: datetime = strawberry.field(
        name="to", description="End of the period, exclusive: where the other period starts."
    )
    totals: UsageTotals = strawberry.field(description="Totals of the whole period.")
    groups: list[UsageGroupTotals] = strawberry.field(description="Totals by group, as in Usage.")
    points: list[UsagePoint] = strawberry.field(description="All steps in order.")


@strawberry.type(description="Usage over a period of time.")
class Usage:
    start: datetime = strawberry.field(name="from", description="Start of the period, inclusive, aligned to a bucket.")
    end: datetime = strawberry.field(name="to", description="End of the period, exclusive, aligned to a bucket.")
    granularity: Granularity = strawberry.field(description="Length of a point.")
    time_zone: str = strawberry.field(description="Time zone whose days and months are used.")
    totals: UsageTotals = strawberry.field(description="Totals of the whole period.")
    groups: list[UsageGroupTotals] = strawberry.field(
        description="Totals by group, most checks first. At most 20; the rest is summed up as `other`."
    )
    points: list[UsagePoint] = strawberry.field(description="All steps in order, including those without a check.")
    query: strawberry.Private[usage.UsageQuery]

    @resolver(
        "Time of the newest counted check of the account. Earlier checks are counted, except those that another node "
        "has not delivered yet; later ones may still arrive."
    )
    async def fresh_at(self, info: Info) -> datetime:
        return await info.context.loaders.counted_until.load(info.context.actor.account_id)

    @resolver("The preceding period: as many months if this one is whole months, else as many days or hours.")
    @requires(Permission.USAGE_READ)
    async def previous(self, info: Info) -> UsageBefore:
        before = await read_series(info, usage.query_before(self.query))
        labels = await _labels(info, before.groups, self.query.group_by)
        return UsageBefore(
            start=before.start,
            end=before.end,
            totals=UsageTotals.of(before.totals),
            groups=_groups(before.groups, labels),
            points=_points(before.points, labels),
        )

    @classmethod
    def of(cls, series: usage.UsageSeries, labels: Mapping[str, str], query: usage.UsageQuery) -> Self:
        return cls(
            query=query,
            start=series.start,
            end=series.end,
            granularity=Granularity(series.granularity.value),
            time_zone=series.time_zone,
            totals=UsageTotals.of(series.totals),
            groups=_groups(series.groups, labels),
            points=_points(series.points, labels),
        )


def _groups(groups: Sequence[usage.UsageGroupTotals], labels: Mapping[str, str]) -> list[UsageGroupTotals]:
    return [UsageGroupTotals.of(group, labels) for group in groups]


def _points(points: Sequence[usage.UsagePoint], labels: Mapping[str, str]) -> list[UsagePoint]:
    return [
        UsagePoint(at=point.at, totals=UsageTotals.of(point.totals), groups=_groups(point.groups, labels))
        for point in points
    ]


@dataclass(frozen=True, slots=True)
class UsageRange:
    """A period of time and the steps that it is divided into."""

    start: datetime
    end: datetime
    granularity: Granularity
    time_zone: str


@strawberry.type
class UsageQueries:
    @resolver("The account's usage over time.")
    @requires(Permission.USAGE_READ)
    async def usage(
        self,
        info: Info,
        start: From,
        end: To,
        granularity: Step = Granularity.DAY,
        group_by: GroupBy = None,
        where: Where = None,
        time_zone: TimeZone = "UTC",
    ) -> Usage:
        return await read_usage(info, UsageRange(start, end, granularity, time_zone), group_by, where)

    @resolver("Endpoints, keys or outcomes with the most checks in a period.")
    @requires(Permission.USAGE_READ)
    async def top_usage(
        self,
        info: Info,
        start: From,
        end: To,
        by: Annotated[UsageGroup, strawberry.argument(description="What to rank.")] = UsageGroup.RESOURCE,
        first: Annotated[
            int, strawberry.argument(description="Number of groups: 1 to 100. The rest is summed up as `other`.")
        ] = 10,
        where: Where = None,
    ) -> list[UsageGroupTotals]:
        tx = info.context.tx
        group_by, only = usage.UsageGroup[by.name], usage_filter(where)
        query = usage.UsageQuery(start=start, end=end, group_by=group_by, filter=only)
        groups = await usage.top_usage(tx, info.context.actor.account_id, query, check_first(first))
        return _groups(groups, await _labels(info, groups, group_by))


async def read_usage(
    info: Info,
    span: UsageRange,
    group_by: UsageGroup | None,
    where: UsageFilter | None,
    key_id: str | None = None,
) -> Usage:
    """Read usage over time; `key_id` wins over the filter's. Raises Invalid for a range, zone or size not served."""
    query = usage.UsageQuery(
        start=span.start,
        end=span.end,
        granularity=usage.Granularity(span.granularity.value),
        group_by=None if group_by is None else usage.UsageGroup[group_by.name],
        filter=usage_filter(where, key_id),
        time_zone=span.time_zone,
    )
    series = await read_series(info, query)
    return Usage.of(series, await _labels(info, series.groups, query.group_by), query)


def usage_filter(where: UsageFilter | None, key_id: str | None = None) -> usage.UsageFilter:
    """Return the domain's filter; `key_id` wins over the filter's."""
    chosen = where or UsageFilter()
    return usage.UsageFilter(
        key_id=key_id or chosen.key_id,
        resource=chosen.resource,
        outcome=chosen.outcome,
        environment=chosen.environment.value if chosen.environment else None,
    )


async def read_series(info: Info, query: usage.UsageQuery) -> usage.UsageSeries:
    """Read a series. Raises Invalid for a range, zone or number of figures that is not served."""
    tx = info.context.tx
    series = await usage.usage_series(tx, info.context.actor.account_id, query)
    if sum(len(point.groups) for point in series.points) > MAX_FIGURES:
        raise Invalid(
            f"This would be more than {MAX_FIGURES} groups in all points together.",
            hint="Ask for a shorter time, a coarser granularity, or without groupBy.",
            path=("granularity",),
        )
    return series


async def _labels(
    info: Info, groups: Sequence[usage.UsageGroupTotals], group_by: usage.UsageGroup | None
) -> dict[str, str]:
    if group_by is not usage.UsageGroup.KEY:
        return {}
    key_ids = [group.key for group in groups]
    names = await info.context.loaders.key_names.load_many(key_ids)
    return {key_id: name for key_id, name in zip(key_ids, names, strict=True) if name is not None}
