"""Retention: expired months go, whatever was cut short before; readers and ingest never wait for it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.usage import (
    Retention,
    drop_expired_partitions,
    encode_batch,
    ensure_partitions,
    ingest_usage,
    prune_resource_names,
)
from portal.usage.retention import create_partitions
from portal.usage.retention.store import EXPIRED_MARK, PARTITIONED
from tests.usage.databases import own_database
from tests.usage.sample import new_account, records
from tests.usage.truth import buckets_off, raw_totals

NOW = datetime(2026, 11, 25, tzinfo=UTC)
OLD = datetime(2026, 8, 10, tzinfo=UTC)
MONTH = datetime(2026, 8, 1, tzinfo=UTC)
ONE = Retention(raw=1, minute=1, quarter=1, day=1)
AUGUST = [f"{table}_2026_08" for table in PARTITIONED]

CHILD = """
import asyncio, os, signal, sys
from datetime import UTC, datetime
from sqlalchemy import text
from portal.core.database import Database
from portal.usage.retention import Retention, drop_expired_partitions, store

async def hang(connection, name) -> None:
    await connection.execute(text("SELECT pg_sleep(600)"))

async def main() -> None:
    if sys.argv[2] == "between":
        store.drop_table = hang
    database = Database(sys.argv[1])
    now = datetime(2026, 11, 25, tzinfo=UTC)
    await drop_expired_partitions(database, Retention(1, 1, 1, 1), now, lock_timeout_ms=600_000)

asyncio.run(main())
"""
_PENDING = text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhdetachpending")
_TABLES = text("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'usage_%' AND relname LIKE :name")


@pytest.fixture
async def own(services: EmbeddedServices) -> AsyncIterator[Database]:
    """Partitions of August, which ONE has expired by NOW, and those from October on."""
    async with own_database(services) as database:
        await ensure_partitions(database, NOW, ONE)
        await create_partitions(database, [MONTH])
        yield database


async def tables_of(database: Database, month: str) -> list[str]:
    async with database.owner_transaction() as tx:
        return sorted(await tx.list(_TABLES, {"name": f"%{month}"}, returns=str))


async def pending(database: Database) -> list[str]:
    async with database.owner_transaction() as tx:
        return await tx.list(_PENDING, returns=str)


@asynccontextmanager
async def reading(database: Database) -> AsyncIterator[None]:
    """A transaction that has read everything and stays open."""
    async with database.snapshot() as tx:
        for table in PARTITIONED:
            await tx.find(text(f"SELECT count(*) FROM {table}"))
        yield


async def wait_until(database: Database, condition: str) -> None:
    async with asyncio.timeout(20):
        while True:
            async with database.owner_transaction() as tx:
                if await tx.find(text(f"SELECT EXISTS ({condition})")):
                    return
            await asyncio.sleep(0.02)


WAITING = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%DETACH PARTITION%' AND wait_event_type = 'Lock'"
SLEEPING = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'"


async def test_each_table_keeps_its_own_months(own: Database) -> None:
    await create_partitions(own, [datetime(2026, month, 1, tzinfo=UTC) for month in (6, 7, 9)])
    outcome = await drop_expired_partitions(own, Retention(raw=4, minute=1, quarter=2, day=5), NOW)
    assert outcome.waiting == []
    assert sorted(outcome.names) == [
        "usage_events_2026_06",
        *(f"usage_minutes_2026_0{month}" for month in (6, 7, 8, 9)),
        *(f"usage_quarters_2026_0{month}" for month in (6, 7, 8)),
    ]
    assert await tables_of(own, "2026_06") == ["usage_days_2026_06"]
    assert (await drop_expired_partitions(own, Retention(raw=4, minute=1, quarter=2, day=5), NOW)).names == []


async def test_what_retention_drops_is_not_made_again(own: Database) -> None:
    assert set((await drop_expired_partitions(own, ONE, NOW)).names) == {*AUGUST}
    assert await ensure_partitions(own, NOW, ONE) == []


async def test_a_month_is_kept_a_day_longer_than_ingest_takes_its_events(own: Database) -> None:
    first = datetime(2026, 10, 1, 12, tzinfo=UTC)
    assert (await drop_expired_partitions(own, ONE, first)).names == []
    assert len((await drop_expired_partitions(own, ONE, first + timedelta(days=1))).names) == 4


async def test_ingest_goes_on_while_a_reader_keeps_a_month_from_going(own: Database) -> None:
    account = new_account()
    async with reading(own):
        dropping = asyncio.create_task(drop_expired_partitions(own, ONE, NOW, lock_timeout_ms=600_000))
        await wait_until(own, WAITING)
        for number in range(5):
            batch = records(20 * number + 20, account_id=account)[20 * number :]
            await ingest_usage(own, encode_batch(batch))
        # A month that is missing is made meanwhile, too.
        await ingest_usage(own, encode_batch(records(1, account_id=account, at=datetime(2026, 9, 1, tzinfo=UTC))))
        assert not dropping.done()
    assert set((await dropping).names) == {*AUGUST}
    assert await raw_totals(own, account) == (101, 101)
    assert {*(await buckets_off(own, account)).values()} == {0}


async def test_partitions_are_made_while_somebody_reads_and_somebody_writes(own: Database) -> None:
    async with reading(own), own.transaction() as writing:
        await writing.execute(
            text("LOCK TABLE usage_events, usage_minutes, usage_quarters, usage_days IN ROW EXCLUSIVE MODE")
        )
        assert len(await create_partitions(own, [datetime(2027, 7, 1, tzinfo=UTC)])) == 4


async def test_a_month_in_use_is_left_and_goes_later(own: Database) -> None:
    async with reading(own):
        outcome = await drop_expired_partitions(own, ONE, NOW, lock_timeout_ms=100)
        assert (outcome.names, sorted(outcome.waiting)) == ([], sorted(AUGUST))
        again = await drop_expired_partitions(own, ONE, NOW, lock_timeout_ms=100)
        assert (again.names, sorted(again.waiting)) == ([], sorted(AUGUST))
        await ingest_usage(own, encode_batch(records(3, account_id=new_account())))
    assert sorted((await drop_expired_partitions(own, ONE, NOW)).names) == sorted(AUGUST)
    assert await tables_of(own, "2026_08") == []


@pytest.mark.faults
async def test_kill_9_between_detach_and_drop_is_gone_on_with(own: Database) -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, own.url, "between")
    await wait_until(own, SLEEPING)
    child.kill()
    await child.wait()
    assert len(await tables_of(own, "2026_08")) == 4
    await end_sessions(own)
    assert sorted((await drop_expired_partitions(own, ONE, NOW)).names) == sorted(AUGUST)
    assert await tables_of(own, "2026_08") == []


@pytest.mark.faults
async def test_kill_9_within_detach_is_gone_on_with(own: Database) -> None:
    async with reading(own):
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, own.url, "within")
        await wait_until(own, WAITING)
        child.kill()
        await child.wait()
        await end_sessions(own)
        assert len(await pending(own)) == 1
        await ingest_usage(own, encode_batch(records(3, account_id=new_account())))
    assert sorted((await drop_expired_partitions(own, ONE, NOW)).names) == sorted(AUGUST)
    assert await tables_of(own, "2026_08") == []


async def end_sessions(database: Database) -> None:
    """What the dead process left running in the server, which looks for its client only now and then."""
    async with database.owner_transaction() as tx:
        await tx.execute(
            text(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database()"
                " AND (query LIKE '%DETACH PARTITION%' OR query LIKE '%pg_sleep(600)%') AND pid <> pg_backend_pid()"
            )
        )


async def test_names_of_resources_go_with_the_raw_events(own: Database) -> None:
    await ingest_usage(own, encode_batch([*records(2, at=OLD), *records(2, at=NOW - timedelta(days=3))]))
    assert await prune_resource_names(own, ONE, NOW) == 1
    assert await prune_resource_names(own, ONE, NOW) == 0
    async with own.transaction() as tx:
        assert await tx.find(text("SELECT count(*) FROM usage_resources")) == 1


async def test_only_one_works_at_a_time(own: Database) -> None:
    first, second = await asyncio.gather(*(drop_expired_partitions(own, ONE, NOW) for _ in range(2)))
    assert sorted(first.names + second.names) == sorted(AUGUST)


async def test_a_partition_detached_by_hand_is_left_alone_and_not_made_again(own: Database) -> None:
    async with own.owner_connection() as connection:
        await connection.execute(text("ALTER TABLE usage_events DETACH PARTITION usage_events_2026_08"))
    await drop_expired_partitions(own, ONE, NOW)
    assert await tables_of(own, "2026_08") == ["usage_events_2026_08"]
    with pytest.raises(Exception, match="already exists"):
        await create_partitions(own, [MONTH])


async def test_a_mark_is_taken_back_when_retention_grew_meanwhile(own: Database) -> None:
    async with own.owner_connection() as connection:
        await connection.execute(text(f"COMMENT ON TABLE usage_events_2026_08 IS '{EXPIRED_MARK}'"))
    assert (await drop_expired_partitions(own, Retention(12, 12, 12, 12), NOW)).names == []
    async with own.owner_transaction() as tx:
        assert await tx.find(text("SELECT obj_description('usage_events_2026_08'::regclass, 'pg_class')")) is None


async def test_a_new_partition_has_what_its_table_has(own: Database) -> None:
    """Keys, the BRIN index, and no way for an account to read it past the wall."""
    async with own.owner_transaction() as tx:
        listed = text("SELECT indexdef FROM pg_indexes WHERE tablename = 'usage_events_2026_08'")
        indexes = await tx.list(listed, returns=str)
        granted = await tx.find(text("SELECT has_table_privilege('portal_app', 'usage_events_2026_08', 'SELECT')"))
        written = await tx.find(text("SELECT has_table_privilege('portal_system', 'usage_events_2026_08', 'INSERT')"))
    assert any("UNIQUE" in one for one in indexes)
    assert any("brin" in one for one in indexes)
    assert (granted, written) == (False, True)


@pytest.mark.parametrize("table", PARTITIONED)
async def test_a_stretch_of_time_reads_its_months_alone(own: Database, table: str) -> None:
    column = "occurred_at" if table == "usage_events" else "bucket_at"
    query = f"""EXPLAIN SELECT * FROM {table} WHERE account_id = 'acct_x'
        AND {column} >= '2026-11-01 00:00:00+00' AND {column} < '2026-11-20 00:00:00+00'"""
    async with own.transaction() as tx:
        plan = "\n".join(await tx.list(text(query), returns=str))
    assert f"{table}_2026_11" in plan
    assert f"{table}_2026_10" not in plan
    assert f"{table}_2026_12" not in plan
