"""Events of a month that is gone, or of a future that no clock should say: kept, not counted, until one decides."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from portal.core.actor import SYSTEM, Actor, Role
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.errors import Forbidden
from portal.core.ids import AccountId
from portal.usage import (
    PoisonBatch,
    Retention,
    bounds_at,
    drop_expired_partitions,
    drop_strays,
    encode_batch,
    ingest_usage,
    list_strays,
    release_strays,
    used_in_period,
)
from tests.usage.databases import own_database
from tests.usage.sample import new_account, record, records
from tests.usage.truth import buckets_off, raw_totals

NOW = datetime(2026, 11, 25, tzinfo=UTC)
BOUNDS = bounds_at(NOW, Retention(raw=2))
LATE = datetime(2026, 8, 31, 23, 59, 59, 999_999, tzinfo=UTC)
FUTURE = NOW + timedelta(days=1)


@pytest.fixture
async def own(services: EmbeddedServices) -> AsyncIterator[Database]:
    async with own_database(services) as database:
        yield database


def staff(account: str) -> Actor:
    return Actor("system", SYSTEM.id, AccountId(account))


async def counts(database: Database) -> list[tuple[str, int]]:
    async with database.transaction() as tx:
        return [(stray.reason, stray.count) for stray in await list_strays(tx)]


async def used(database: Database, account: str, period: str) -> int:
    async with database.transaction() as tx:
        return await used_in_period(tx, account, period)


async def test_they_are_kept_once_and_the_others_are_counted(own: Database) -> None:
    account = new_account()
    batch = [
        *(record(number, LATE, account_id=account) for number in range(3)),
        *(record(number, FUTURE, account_id=account) for number in range(2)),
        record(9, LATE + timedelta(microseconds=1), account_id=account),
        record(9, FUTURE - timedelta(microseconds=1), account_id=account),
    ]
    with capture_logs() as logs:
        for _ in range(3):
            await ingest_usage(own, encode_batch(batch), BOUNDS)
    assert await raw_totals(own, account) == (2, 2)
    assert await counts(own) == [("future", 2), ("late", 3)]
    assert (logs[0]["event"], logs[0]["count"], logs[0]["reasons"]) == ("usage_strays_kept", 5, ["future", "late"])


async def test_a_month_whose_partition_is_gone_counts_nothing_twice(own: Database) -> None:
    account = new_account()
    batch = encode_batch(records(5, at=LATE, account_id=account))
    await ingest_usage(own, batch)
    await drop_expired_partitions(own, Retention(2, 2, 2, 2), NOW)
    await ingest_usage(own, batch, BOUNDS)
    assert await used(own, account, "2026-08") == 5
    assert await counts(own) == [("late", 5)]
    assert await drop_strays(own, staff(account), "late") == 5
    assert await counts(own) == []


async def test_released_they_count_once_everywhere(own: Database) -> None:
    account, other = new_account(), new_account()
    batch = [*records(5, at=LATE, account_id=account), *records(2, at=FUTURE, account_id=account)]
    await ingest_usage(own, encode_batch([*batch, record(0, LATE, account_id=other)]), BOUNDS)
    released, totals = await release_strays(own, staff(account), "late")
    assert (released, [(total.period, total.used) for total in totals]) == (5, [("2026-08", 5)])
    assert await release_strays(own, staff(account), "late") == (0, [])
    assert await raw_totals(own, account) == (5, 5)
    assert {*(await buckets_off(own, account)).values()} == {0}
    assert await raw_totals(own, other) == (0, 0)
    assert (await release_strays(own, staff(account), None))[0] == 2
    assert await drop_strays(own, staff(other), None) == 1
    actions = text("SELECT action FROM audit_events WHERE account_id = :account ORDER BY sequence")
    async with own.transaction() as tx:
        assert await tx.list(actions, {"account": account}) == ["usage.stray.release"] * 2
        assert await tx.list(actions, {"account": other}) == ["usage.stray.drop"]


async def test_an_account_sees_its_own_alone(own: Database) -> None:
    account = new_account()
    await ingest_usage(own, encode_batch([record(0, LATE, account_id=account)]), BOUNDS)
    count = text("SELECT count(*) FROM usage_strays")
    async with own.transaction(new_account()) as tx:
        assert await tx.find(count) == 0
    async with own.transaction(account) as tx:
        assert await tx.find(count) == 1


@pytest.mark.parametrize("decide", [release_strays, drop_strays])
async def test_only_staff_decides(own: Database, decide: Callable[..., Awaitable[object]]) -> None:
    with pytest.raises(Forbidden):
        await decide(own, Actor("person", "usr_1", AccountId("acct_1"), role=Role.OWNER), None)


async def test_a_stray_that_cannot_be_stored_is_poison(own: Database) -> None:
    with pytest.raises(PoisonBatch):
        await ingest_usage(own, encode_batch([record(0, LATE, account_id="a\0b")]), BOUNDS)


def test_bounds_follow_the_months_that_are_kept() -> None:
    bounds = bounds_at(datetime(2026, 1, 1, tzinfo=UTC), Retention(raw=1))
    assert bounds.earliest == datetime(2025, 12, 1, tzinfo=UTC)
    assert bounds.reason_against(bounds.earliest) is None
    assert bounds.reason_against(bounds.earliest - timedelta(microseconds=1)) == "late"
    assert bounds.reason_against(bounds.latest) == "future"
