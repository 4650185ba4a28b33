"""Journal, shipper and ingest together, as `portal run` wires them."""

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from portal.core.database import Database
from portal.core.messaging.bus import USAGE_RECORDED, InProcessBus
from portal.usage import IngestBatcher, Journal, JournalShipper, encode_batch
from tests.usage.sample import new_account, record
from tests.usage.truth import buckets_off, raw_totals
from workers import ship_journal


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name != "courier.lock"]


async def test_what_is_journalled_is_counted_and_raises_the_quota(database: Database, tmp_path: Path) -> None:
    account, bus, stop = new_account(), InProcessBus(), asyncio.Event()
    raised: list[tuple[str, str, int]] = []
    complete = asyncio.Event()

    async def raise_used(account_id: str, period: str, used: int, _settled: int) -> None:
        raised.append((account_id, period, used))
        if used == 100:
            complete.set()

    shipper = JournalShipper(tmp_path, bus, 1000)
    journal = Journal(tmp_path, segment_bytes=4096, sync_ms=10, on_append=shipper.wake)
    journal.open()
    bus.subscribe(USAGE_RECORDED, IngestBatcher(database, raise_used).add)
    shipping = asyncio.create_task(ship_journal.run(shipper, stop))
    for number in range(100):
        journal.append([record(number, account_id=account)])
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await complete.wait()
    assert await raw_totals(database, account) == (100, 100)
    journal.append([record(100, account_id=account)])
    journal.close()
    stop.set()
    await shipping
    assert raised[-1] == (account, "2026-11", 101)
    assert await raw_totals(database, account) == (101, 101)
    assert set((await buckets_off(database, account)).values()) == {0}
    assert names_in(tmp_path) == []


async def test_without_redis_the_batch_is_counted_all_the_same(database: Database) -> None:
    account = new_account()

    async def away(account_id: str, period: str, used: int, settled: int) -> None:
        raise ConnectionError("Redis is away")

    with capture_logs() as logs:
        await IngestBatcher(database, away).add(encode_batch([record(account_id=account)]))
    assert await raw_totals(database, account) == (1, 1)
    assert [line["event"] for line in logs] == ["quota_not_raised"]


async def test_poison_is_quarantined_and_holds_up_nothing(database: Database) -> None:
    async def never(account_id: str, period: str, used: int, settled: int) -> None:
        raise AssertionError

    bus = InProcessBus()
    bus.subscribe(USAGE_RECORDED, IngestBatcher(database, never).add)
    with capture_logs() as logs:
        await bus.publish(USAGE_RECORDED, b"nonsense " + new_account().encode())
    assert [(line["event"], line["count"]) for line in logs] == [("usage_quarantined", 1)]


async def test_a_bus_that_is_away_at_the_end_does_not_keep_the_worker(tmp_path: Path) -> None:
    bus, stop = InProcessBus(), asyncio.Event()

    async def away(batch: bytes) -> None:
        raise ConnectionError("the broker is away")

    bus.subscribe(USAGE_RECORDED, away)
    journal = Journal(tmp_path, segment_bytes=4096, sync_ms=10)
    journal.open()
    journal.append([record()])
    journal.close()
    stop.set()
    with capture_logs() as logs:
        async with asyncio.timeout(5):
            await ship_journal.run(JournalShipper(tmp_path, bus, 10), stop)
    assert [line["event"] for line in logs] == ["journal_left_for_next_start"]
    assert [Path(name).suffix for name in names_in(tmp_path)] == [".journal"]
