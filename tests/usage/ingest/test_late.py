"""Events of a month that retention has dropped: never counted twice, never lost, counted when somebody decides so."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from portal.core.clock import utc_now
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.usage import (
    IngestBatcher,
    ResourceCap,
    Retention,
    drop_expired_partitions,
    encode_batch,
    ingest_usage,
    list_quarantined,
    replay_quarantined,
    used_in_period,
)
from portal.usage.ingest import ingest_batches
from portal.usage.retention import earliest_at
from tests.usage.databases import own_database
from tests.usage.sample import new_account, record, records
from tests.usage.truth import buckets_off, raw_totals

NOW = datetime(2026, 11, 25, tzinfo=UTC)
EARLIEST = earliest_at(NOW, Retention(raw=2))
LATE = EARLIEST - timedelta(microseconds=1)


@pytest.fixture
async def own(services: EmbeddedServices) -> AsyncIterator[Database]:
    async with own_database(services) as database:
        yield database


async def reasons(database: Database) -> list[str]:
    async with database.transaction() as tx:
        return [row.reason for row in await list_quarantined(tx, 100)]


async def used(database: Database, account: str, period: str) -> int:
    async with database.transaction() as tx:
        return await used_in_period(tx, account, period)


async def test_they_are_set_apart_once_and_the_others_are_counted(own: Database) -> None:
    account = new_account()
    batch = [record(1, LATE, account_id=account), record(2, EARLIEST, account_id=account)]
    for _ in range(3):
        told = await ingest_batches(own, [encode_batch(batch)], ResourceCap(), EARLIEST)
    assert told.rejected == 1
    assert await raw_totals(own, account) == (1, 1)
    assert await reasons(own) == ["LATE"]


async def test_a_month_whose_partition_is_gone_counts_nothing_twice(own: Database) -> None:
    account = new_account()
    batch = encode_batch(records(5, at=LATE, account_id=account))
    await ingest_usage(own, batch)
    await drop_expired_partitions(own, Retention(2, 2, 2, 2), NOW)
    await ingest_batches(own, [batch], ResourceCap(), EARLIEST)
    assert await used(own, account, f"{LATE:%Y-%m}") == 5
    assert await reasons(own) == ["LATE"] * 5


async def test_replayed_they_count_everywhere_once(own: Database) -> None:
    account = new_account()
    await ingest_batches(own, [encode_batch(records(5, at=LATE, account_id=account))], ResourceCap(), EARLIEST)
    assert (await replay_quarantined(own, None)).counted == 5
    assert (await replay_quarantined(own, None)).counted == 0
    assert await raw_totals(own, account) == (5, 5)
    assert {*(await buckets_off(own, account)).values()} == {0}
    assert await used(own, account, f"{LATE:%Y-%m}") == 5


async def test_the_worker_knows_the_retention(own: Database) -> None:
    batch = encode_batch([record(1, utc_now() - timedelta(days=100), account_id=new_account())])
    strict, generous = IngestBatcher(own, not_raised, Retention(raw=1)), IngestBatcher(own, not_raised)
    await strict.add(batch)
    await generous.add(batch)
    assert (strict.quarantined, strict.added) == (1, 0)
    assert (generous.quarantined, generous.added) == (0, 1)


async def not_raised(account_id: str, period: str, used: int, settled: int) -> None:
    """Redis has no part in this."""


def test_the_first_instant_follows_the_months_that_are_kept() -> None:
    assert earliest_at(datetime(2026, 1, 1, tzinfo=UTC), Retention(raw=1)) == datetime(2025, 12, 1, tzinfo=UTC)
