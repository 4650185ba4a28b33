"""The series equals the raw events, in every zone, granularity, group and filter."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from portal.core.database import Database
from portal.core.errors import Invalid
from portal.usage import (
    Granularity,
    UsageFilter,
    UsageGroup,
    UsageQuery,
    UsageSeries,
    UsageTotals,
    counted_until,
    encode_batch,
    ingest_usage,
    usage_series,
)
from tests.usage.ingest.test_ingest import varied
from tests.usage.sample import new_account, record
from tests.usage.truth import raw_between

FROM = datetime(2026, 10, 30, 12, tzinfo=UTC)
TO = datetime(2026, 11, 2, 12, tzinfo=UTC)
ZONES = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"]
QUARTER = timedelta(minutes=15)


@pytest.fixture(scope="module")
async def account(database: Database) -> str:
    account = new_account()
    await ingest_usage(database, encode_batch(varied(account, 3000)))
    return account


async def ask(database: Database, account: str, query: UsageQuery) -> UsageSeries:
    async with database.transaction(account) as tx:
        return await usage_series(tx, account, query)


def figures(totals: UsageTotals) -> tuple[int, ...]:
    return totals.calls, totals.units, totals.allowed, totals.billable


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("granularity", [Granularity.HOUR, Granularity.DAY, Granularity.MONTH])
@pytest.mark.parametrize("shift", [timedelta(), QUARTER, -3 * QUARTER, timedelta(hours=12)])
async def test_totals_and_points_equal_the_raw_events(
    database: Database, account: str, zone: str, granularity: Granularity, shift: timedelta
) -> None:
    query = UsageQuery(FROM + shift, TO - 2 * shift, granularity, time_zone=zone)
    series = await ask(database, account, query)
    assert (series.start, series.end) == (query.start, query.end)
    assert figures(series.totals) == await raw_between(database, account, query.start, query.end)
    borders = [point.at for point in series.points] + [query.end]
    for point, end in zip(series.points, borders[1:], strict=True):
        assert figures(point.totals) == await raw_between(database, account, point.at, end)


async def test_minutes_equal_the_raw_events(database: Database, account: str) -> None:
    start = FROM + timedelta(minutes=7)
    series = await ask(database, account, UsageQuery(start, start + timedelta(hours=24), Granularity.MINUTE))
    assert len(series.points) == 1440
    assert figures(series.totals) == await raw_between(database, account, series.start, series.end)


async def test_other_borders_are_widened_and_stated(database: Database, account: str) -> None:
    query = UsageQuery(FROM + timedelta(minutes=7), TO - timedelta(minutes=7, seconds=1))
    series = await ask(database, account, query)
    assert (series.start, series.end) == (FROM, TO)
    assert figures(series.totals) == await raw_between(database, account, FROM, TO)


@pytest.mark.parametrize("group", UsageGroup)
async def test_groups_add_up_to_the_totals(database: Database, account: str, group: UsageGroup) -> None:
    series = await ask(database, account, UsageQuery(FROM, TO, group_by=group))
    assert len(series.groups) > 1
    assert sum((part.totals for part in series.groups), UsageTotals()) == series.totals
    for point in series.points:
        assert sum((part.totals for part in point.groups), UsageTotals()) == point.totals
    calls = [part.totals.calls for part in series.groups]
    assert calls == sorted(calls, reverse=True)


async def test_a_filter_is_a_group_alone(database: Database, account: str) -> None:
    grouped = await ask(database, account, UsageQuery(FROM, TO, group_by=UsageGroup.OUTCOME))
    for part in grouped.groups:
        alone = await ask(database, account, UsageQuery(FROM, TO, filter=UsageFilter(outcome=part.key)))
        assert alone.totals == part.totals
    only = UsageFilter("key_1", "GET /v1/1", "VALID", "live")
    narrow = await ask(database, account, UsageQuery(FROM, TO, filter=only))
    assert 0 < narrow.totals.calls == narrow.totals.allowed
    assert narrow.totals.billable == narrow.totals.units
    assert narrow.totals.denied == 0


async def test_beyond_twenty_groups_the_rest_is_other(database: Database) -> None:
    account = new_account()
    rows = [
        record(number, account_id=account, resource=f"r{resource:02d}")
        for number, resource in enumerate(resource for resource in range(30) for _ in range(30 - resource))
    ]
    await ingest_usage(database, encode_batch(rows))
    series = await ask(database, account, UsageQuery(FROM, FROM + timedelta(days=20), group_by=UsageGroup.RESOURCE))
    assert [part.key for part in series.groups] == [f"r{n:02d}" for n in range(20)] + ["other"]
    assert series.groups[-1].totals.calls == sum(range(1, 11))
    assert series.totals.calls == len(rows)


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25)])
async def test_a_day_of_the_clock_change_has_its_own_length(
    database: Database, day: tuple[int, int, int], hours: int
) -> None:
    account, zone = new_account(), ZoneInfo("Europe/Berlin")
    start = datetime(*day, tzinfo=zone)
    end = start + timedelta(days=1)
    begin = start.astimezone(UTC)
    rows = [record(n, begin + timedelta(hours=n - 1, minutes=30), account_id=account) for n in range(28)]
    await ingest_usage(database, encode_batch(rows))
    days = await ask(database, account, UsageQuery(start, end, Granularity.DAY, time_zone="Europe/Berlin"))
    assert [point.totals.calls for point in days.points] == [hours]
    by_hour = await ask(database, account, UsageQuery(start, end, Granularity.HOUR, time_zone="Europe/Berlin"))
    assert [point.totals.calls for point in by_hour.points] == [1] * hours


async def test_every_step_is_there_with_zeros(database: Database) -> None:
    series = await ask(database, new_account(), UsageQuery(FROM, FROM + timedelta(days=90)))
    assert len(series.points) == 91
    assert {point.totals for point in series.points} == {UsageTotals()} == {series.totals}


async def test_counted_is_until_the_newest_event(database: Database, account: str) -> None:
    async with database.transaction(account) as tx:
        assert FROM < await counted_until(tx, account) < TO


async def test_without_any_event_all_is_counted_until_now(database: Database) -> None:
    account = new_account()
    async with database.transaction(account) as tx:
        assert await counted_until(tx, account) == tx.now


async def test_another_account_counts_nothing_of_it(database: Database, account: str) -> None:
    async with database.transaction(new_account()) as tx:
        assert (await usage_series(tx, account, UsageQuery(FROM, TO))).totals == UsageTotals()


async def test_too_many_points_are_refused(database: Database, account: str) -> None:
    with pytest.raises(Invalid, match="1500 points"):
        await ask(database, account, UsageQuery(FROM, FROM + timedelta(days=90), Granularity.HOUR))
