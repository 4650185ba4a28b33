"""Events of a month that retention has dropped: never counted twice, never lost, counted when somebody decides so."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from portal.core.clock import utc_now
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.usage import (
    IngestBatcher,
    IngestResult,
    ResourceNames,
    Retention,
    drop_expired_partitions,
    encode_batch,
    ingest_batches,
    ingest_usage,
    list_quarantined,
    replay_quarantined,
    used_in_period,
)
from portal.usage.retention.retention import earliest_at
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
        told = await ingest_batches(own, [encode_batch(batch)], ResourceNames(), EARLIEST)
    assert told.rejected == 1
    assert await raw_totals(own, account) == (1, 1)
    assert await reasons(own) == ["LATE"]


async def test_a_month_whose_partition_is_gone_counts_nothing_twice(own: Database) -> None:
    account = new_account()
    batch = encode_batch(records(5, at=LATE, account_id=account))
    await ingest_usage(own, batch)
    await drop_expired_partitions(own, Retention(2, 2, 2, 2), NOW)
    await ingest_batches(own, [batch], ResourceNames(), EARLIEST)
    assert await used(own, account, f"{LATE:%Y-%m}") == 5
    assert await reasons(own) == ["LATE"] * 5


async def test_replayed_they_count_everywhere_once(own: Database) -> None:
    account = new_account()
    await ingest_batches(own, [encode_batch(records(5, at=LATE, account_id=account))], ResourceNames(), EARLIEST)
    assert (await replay_quarantined(own, None)).counted == 5
    assert (await replay_quarantined(own, None)).counted == 0
    assert await raw_totals(own, account) == (5, 5)
    assert {*(await buckets_off(own, account)).values()} == {0}
    assert await used(own, account, f"{LATE:%Y-%m}") == 5


async def test_the_worker_knows_the_retention(own: Database) -> None:
    account, told = new_account(), []

    async def note(ingested: IngestResult) -> None:
        told.append(ingested.rejected)

    long_ago = utc_now() - timedelta(days=100)
    for retention in (Retention(raw=1), None):
        await IngestBatcher(own, note, retention).add(encode_batch([record(1, long_ago, account_id=account)]))
    assert told == [1, 0]


def test_the_first_instant_follows_the_months_that_are_kept() -> None:
    assert earliest_at(datetime(2026, 1, 1, tzinfo=UTC), Retention(raw=1)) == datetime(2025, 12, 1, tzinfo=UTC)
