"""At most so many resources of an account's day have buckets of their own: exactly, whoever counts and how often."""

import asyncio
import random
from datetime import timedelta

import pytest
from sqlalchemy import text

from portal.core.database import Database
from portal.usage import ResourceCap, UsageRecord, encode_batch, settle_usage
from portal.usage.ingest import ingest_batches
from tests.usage.sample import NOON, new_account, record, request_id
from tests.usage.truth import raw_totals

MAX_REMEMBERED = 20
_BY_RESOURCE = """
SELECT resource, sum(calls)::bigint AS calls, sum(units)::bigint AS units FROM {table}
WHERE account_id = :account GROUP BY 1
"""
_RAW = """
SELECT CASE WHEN event.resource = ANY(known.names) THEN event.resource ELSE 'other' END AS resource,
    count(*) AS calls, sum(cost)::bigint AS units
FROM usage_events event JOIN usage_resources known
    ON known.account_id = event.account_id AND known.day = (event.occurred_at AT TIME ZONE 'UTC')::date
WHERE event.account_id = :account GROUP BY 1
"""
TABLES = ("usage_minutes", "usage_quarters", "usage_days")


async def counted(database: Database, statement: str, account: str) -> dict[str, tuple[int, int]]:
    async with database.transaction() as tx:
        rows = (await tx.execute(text(statement), {"account": account})).all()
    return {row.resource: (row.calls, row.units) for row in rows}


async def assert_exact(database: Database, account: str) -> dict[str, tuple[int, int]]:
    """Buckets say what the raw events say, by the names that have their own. Returns that."""
    raw = await counted(database, _RAW, account)
    for table in TABLES:
        assert await counted(database, _BY_RESOURCE.format(table=table), account) == raw
    return raw


def varied(account: str, count: int, resources: int, seed: int) -> list[UsageRecord]:
    dice = random.Random(seed)  # noqa: S311  # a test's dice
    return [
        record(
            number, NOON, account_id=account, resource=f"GET /{dice.randrange(resources)}", cost=dice.randrange(1, 5)
        )
        for number in range(count)
    ]


@pytest.fixture
def account() -> str:
    return new_account()


async def test_the_first_names_stay_and_the_others_share_one(database: Database, account: str) -> None:
    names = ResourceCap(MAX_REMEMBERED)
    rows = varied(account, 600, 60, 1)
    for begin in range(0, 600, 50):
        await ingest_batches(database, [encode_batch(rows[begin : begin + 50])], names)
    found = await assert_exact(database, account)
    assert len(found) == MAX_REMEMBERED + 1
    assert await raw_totals(database, account) == (600, sum(row.cost for row in rows))


async def test_several_workers_and_repetitions_change_nothing(database: Database, account: str) -> None:
    rows = varied(account, 1500, 80, 2)
    dice = random.Random(3)  # noqa: S311  # a test's dice
    deliveries = [rows[begin : begin + 100] for begin in range(0, 1500, 100)] * 5
    dice.shuffle(deliveries)
    workers = [ResourceCap(MAX_REMEMBERED) for _ in range(4)]

    async def work(names: ResourceCap, mine: list[list[UsageRecord]]) -> None:
        for rows_of_one in mine:
            await ingest_batches(database, [encode_batch(rows_of_one)], names)

    await asyncio.gather(*(work(names, deliveries[number::4]) for number, names in enumerate(workers)))
    found = await assert_exact(database, account)
    assert len(found) == MAX_REMEMBERED + 1
    assert await raw_totals(database, account) == (1500, sum(row.cost for row in rows))


async def test_each_day_and_each_account_has_its_own(database: Database, account: str) -> None:
    other = new_account()
    names = ResourceCap(2)
    tomorrow = NOON - timedelta(days=1)
    rows = [
        *(record(number, NOON, account_id=account, resource=f"a{number}") for number in range(4)),
        *(record(number, tomorrow, account_id=account, resource=f"b{number}") for number in range(4)),
        *(record(number, NOON, account_id=other, resource=f"c{number}") for number in range(4)),
    ]
    await ingest_batches(database, [encode_batch(rows)], names)
    assert set(await assert_exact(database, account)) == {"a0", "a1", "b0", "b1", "other"}
    assert set(await assert_exact(database, other)) == {"c0", "c1", "other"}


async def test_a_transaction_that_failed_is_not_remembered(database: Database, account: str) -> None:
    names = ResourceCap(1)
    batch = encode_batch([record(1, account_id=account, resource="lost")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("portal.usage.ingest.store.insert_staged", _away)
        with pytest.raises(ConnectionError):
            await ingest_batches(database, [batch], names)
    await ingest_batches(database, [encode_batch([record(2, account_id=account, resource="kept")])], names)
    await ingest_batches(database, [batch], names)
    assert set(await assert_exact(database, account)) == {"kept", "other"}


async def test_a_settlement_finds_the_shared_bucket(database: Database, account: str) -> None:
    names = ResourceCap(1)
    async with database.transaction() as tx:
        at = tx.now - timedelta(minutes=1)
    rows = [record(number, at, account_id=account, resource=f"r{number}") for number in range(3)]
    await ingest_batches(database, [encode_batch(rows)], names)
    for number in (0, 2):
        async with database.transaction() as tx:
            await settle_usage(tx, request_id(at, number), 10)
    assert await assert_exact(database, account) == {"r0": (1, 10), "other": (2, 11)}


async def test_names_are_forgotten_before_they_fill_the_memory(
    database: Database, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.usage.ingest.resource_cap.MAX_CACHED_NAMES", 10)
    names = ResourceCap(MAX_REMEMBERED)
    for day in range(30):
        rows = [record(n, NOON - timedelta(days=day), account_id=account, resource=f"r{n}") for n in range(3)]
        await ingest_batches(database, [encode_batch(rows)], names)
        assert sum(map(len, names._cached.values())) <= 10 + 3
    await assert_exact(database, account)


@pytest.mark.parametrize("settles", [True, False])
async def test_ingest_and_settlements_take_buckets_in_one_order(
    database: Database, account: str, settles: bool
) -> None:
    """Days, quarter-hours, minutes: of test keys too, where no billing period keeps them apart before."""

    async def count(number: int) -> None:
        rows = [record(number, at, account_id=account, resource="r", environment="test")]
        await ingest_batches(database, [encode_batch(rows)], ResourceCap(MAX_REMEMBERED))

    async def settle() -> None:
        async with database.transaction() as tx:
            await settle_usage(tx, request_id(at, 1), 10)

    async with database.transaction() as tx:
        at = tx.now - timedelta(minutes=1)
    await count(1)
    async with database.transaction() as tx:
        await tx.execute(text("SELECT FROM usage_minutes WHERE account_id = :a FOR UPDATE"), {"a": account})
        waiting = asyncio.create_task(settle() if settles else count(2))
        for table in ("usage_quarters", "usage_days"):
            while await _is_free(database, table, account):
                assert not waiting.done()
                await asyncio.sleep(0.02)
    await waiting


async def _is_free(database: Database, table: str, account: str) -> bool:
    async with database.transaction() as tx:
        statement = text(f"SELECT 1 FROM {table} WHERE account_id = :a FOR UPDATE SKIP LOCKED")
        return bool(await tx.list(statement, {"a": account}))


async def _away(*_: object, **__: object) -> None:
    raise ConnectionError("PostgreSQL is away")
