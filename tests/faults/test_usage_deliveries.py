"""Deliveries that go wrong, through a real broker: repeated, out of order, unconfirmed, poisonous, contradictory."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from time import monotonic
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from structlog.testing import capture_logs

from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.messaging.bus import USAGE_RECORDED
from portal.core.rabbit import BrokerStatus, RabbitBus
from portal.usage import (
    IngestBatcher,
    Journal,
    JournalShipper,
    UsageRecord,
    count_quarantined,
    encode_batch,
    replay_quarantined,
)
from tests.broker.find import private_broker
from tests.faults.tools.deaf_proxy import DeafProxy
from tests.faults.tools.moody_postgres import MoodyPostgres
from tests.faults.tools.report import Report, sized
from tests.usage.sample import new_account, record, records
from tests.usage.truth import buckets_off, raw_totals

EVENTS = sized(4_000, 100_000)
BATCH = sized(100, 1_000)
TIMEOUT_SECONDS = sized(40, 180)
PREFETCH = 20
MAX_LINES = 6


@pytest.fixture(scope="module")
async def broker_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Of a broker of its own: the queue of usage is everybody's in a shared one."""
    async with private_broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker.url


@pytest.fixture
def account() -> str:
    return new_account()


def bus_to(url: str) -> RabbitBus:
    return RabbitBus(url, USAGE_RECORDED, prefetch=PREFETCH, retention_days=7)


async def _not_raised(account_id: str, period: str, used: int, settled: int) -> None:
    """Redis has no part in this."""


@asynccontextmanager
async def ingesting(url: str, database: Database, workers: int = 2) -> AsyncIterator[list[IngestBatcher]]:
    """Workers until nothing is on its way any more."""
    stop, buses, mergers = asyncio.Event(), [bus_to(url) for _ in range(workers)], []
    for bus in buses:
        batcher = IngestBatcher(database, _not_raised)
        bus.subscribe(USAGE_RECORDED, batcher.add)
        mergers.append(batcher)
    running = [asyncio.create_task(bus.run(stop)) for bus in buses]
    try:
        yield mergers
        begin = monotonic()
        while replace(status := await buses[0].status(USAGE_RECORDED), consumers=0) != BrokerStatus(0, 0, 0):
            assert monotonic() - begin < TIMEOUT_SECONDS, status
            await asyncio.sleep(0.1)
    finally:
        # An orderly stop finishes what is in hand.
        stop.set()
        await asyncio.gather(*running)
        for bus in buses:
            await bus.close()


async def publish_all(url: str, batches: list[bytes]) -> None:
    bus = bus_to(url)
    for begin in range(0, len(batches), 50):
        await asyncio.gather(*(bus.publish(USAGE_RECORDED, batch) for batch in batches[begin : begin + 50]))
    await bus.close()


async def reaches(value: Callable[[], int], wanted: int) -> None:
    begin = monotonic()
    while value() < wanted:
        assert monotonic() - begin < TIMEOUT_SECONDS, value()
        await asyncio.sleep(0.02)


def batched(rows: list[UsageRecord]) -> list[bytes]:
    return [encode_batch(rows[begin : begin + BATCH]) for begin in range(0, len(rows), BATCH)]


async def assert_counted(database: Database, account: str, events: int) -> None:
    assert await raw_totals(database, account) == (events, events)
    assert set((await buckets_off(database, account)).values()) == {0}
    statement = text("SELECT used FROM usage_periods WHERE account_id = :account")
    async with database.transaction() as tx:
        assert await tx.list(statement, {"account": account}) == [events]


async def test_every_message_five_times_and_reordered_changes_no_number(
    database: Database, broker_url: str, account: str, report: Report
) -> None:
    batches = batched(records(EVENTS, account_id=account)) * 5
    Random(23).shuffle(batches)  # noqa: S311 no secret
    await publish_all(broker_url, batches)
    async with ingesting(broker_url, database) as mergers:
        pass
    await assert_counted(database, account, EVENTS)
    assert [sum(batcher.events for batcher in mergers) >= EVENTS, sum(batcher.added for batcher in mergers)] == [
        True,
        EVENTS,
    ]
    told = f"{len(batches)} messages of {EVENTS} events, each 5 times and shuffled, by 2 workers: {EVENTS} counted"
    report.tell("usage, repeated and reordered", told)


async def test_lost_confirms_repeat_and_double_nothing(
    database: Database, broker_url: str, account: str, tmp_path: Path, report: Report
) -> None:
    """Between publish and cursor: the broker has the messages, the shipper never learns of it."""
    journal = Journal(tmp_path, segment_bytes=10**8, sync_ms=50)
    journal.open()
    rows = records(EVENTS, account_id=account)
    target = urlsplit(broker_url).port or 0
    rounds = sized(3, 20)
    stop, portion = asyncio.Event(), EVENTS // (2 * rounds)
    async with DeafProxy(target) as proxy, ingesting(broker_url, database) as mergers:
        bus = bus_to(f"amqp://guest:guest@127.0.0.1:{proxy.port}/")
        shipper = JournalShipper(tmp_path, bus, BATCH)
        shipping = asyncio.create_task(shipper.run(stop))
        for begin in range(0, 2 * rounds * portion, 2 * portion):
            journal.append(rows[begin : begin + portion])
            await reaches(lambda: shipper.shipped, begin + portion)
            proxy.is_deaf = True
            journal.append(rows[begin + portion : begin + 2 * portion])
            await reaches(lambda: sum(batcher.added for batcher in mergers), begin + 2 * portion)
            assert shipper.shipped == begin + portion
            proxy.is_deaf = False
            proxy.cut()
        journal.append(rows[2 * rounds * portion :])
        journal.close()
        await reaches(lambda: shipper.shipped, EVENTS)
        stop.set()
        await shipping
        await bus.close()
    await assert_counted(database, account, EVENTS)
    events = sum(batcher.events for batcher in mergers)
    assert events >= EVENTS + rounds * portion
    report.tell("usage, confirms lost", f"{rounds} cuts: {events} events delivered, {EVENTS} counted")


async def test_one_percent_poison_is_quarantined_and_costs_nothing_else(
    database: Database, broker_url: str, account: str, report: Report
) -> None:
    draw = Random(29)  # noqa: S311 no secret
    rows = records(EVENTS, account_id=account)
    bad = EVENTS // 100
    for number in range(bad):
        wrong = record(EVENTS + number, account_id=account, **draw.choice(POISONS))  # type: ignore[arg-type]  # varied
        rows.insert(draw.randrange(len(rows)), wrong)
    whole = [f"no batch {number} {account}".encode() for number in range(5)]
    async with database.transaction() as tx:
        before = await count_quarantined(tx)
    batches = [*batched(rows), *whole]
    draw.shuffle(batches)
    await publish_all(broker_url, batches)
    async with ingesting(broker_url, database):
        pass
    async with database.transaction() as tx:
        after = await count_quarantined(tx)
        mine = await tx.list(
            text("SELECT id FROM usage_quarantine WHERE position(convert_to(:part, 'UTF8') IN body) > 0"),
            {"part": account},
            returns=int,
        )
    await assert_counted(database, account, EVENTS)
    assert (after - before, len(mine)) == (bad + len(whole),) * 2
    replayed = await replay_quarantined(database, mine[:20])
    assert (replayed.counted, replayed.rejected) == (0, 20)
    report.tell(
        "usage, poison", f"{bad} bad records and {len(whole)} bad messages among {EVENTS}: all apart, none lost"
    )


POISONS: list[dict[str, object]] = [{"cost": -5}, {"cost": 2**50}, {"key_id": "a\0b"}, {"code": "x" * 100}]


async def test_the_same_id_with_another_content_is_quarantined_whoever_comes_first(
    database: Database, broker_url: str, account: str, report: Report
) -> None:
    rows = records(EVENTS, account_id=account)
    others = [record(number, account_id=account, cost=7) for number in range(0, EVENTS, 40)]
    batches = [*batched(rows), *batched(others)] * 2
    Random(31).shuffle(batches)  # noqa: S311 no secret
    await publish_all(broker_url, batches)
    async with ingesting(broker_url, database):
        pass
    calls, units = await raw_totals(database, account)
    assert calls == EVENTS
    assert set((await buckets_off(database, account)).values()) == {0}
    statement = text("SELECT count(*) FROM usage_quarantine WHERE account_id = :account AND reason = 'CONFLICT'")
    async with database.transaction() as tx:
        assert await tx.find(statement, {"account": account}) == len(others)
    assert (units - EVENTS) % 6 == 0
    report.tell("usage, contradictions", f"{len(others)} ids with two contents among {EVENTS}: one counted, one apart")


async def test_poison_is_counted_after_all_once_it_can_be(database: Database, account: str) -> None:
    """A conflict whose counted twin is gone."""
    batcher = IngestBatcher(database, _not_raised)
    await batcher.add(encode_batch([record(1, account_id=account)]))
    await batcher.add(encode_batch([record(1, account_id=account, cost=5)]))
    async with database.transaction() as tx:
        numbers = await tx.list(
            text("SELECT id FROM usage_quarantine WHERE account_id = :a"), {"a": account}, returns=int
        )
        for table in ("usage_events", "usage_minutes", "usage_quarters", "usage_days", "usage_periods"):
            await tx.execute(text(f"DELETE FROM {table} WHERE account_id = :a"), {"a": account})
    replayed = await replay_quarantined(database, numbers)
    assert (replayed.counted, replayed.rejected) == (1, 0)
    assert await raw_totals(database, account) == (1, 5)
    async with database.transaction() as tx:
        assert await tx.list(text("SELECT id FROM usage_quarantine WHERE account_id = :a"), {"a": account}) == []


@pytest.mark.parametrize("mood", sized(["cut"], ["57P03", "53300", "cut"]))
async def test_an_outage_of_postgresql_is_two_lines_however_many_messages_wait(
    services: EmbeddedServices, database: Database, broker_url: str, account: str, report: Report, mood: str
) -> None:
    rows = records(EVENTS, account_id=account)
    url = make_url(services.database_url)
    stop, bus = asyncio.Event(), bus_to(broker_url)
    async with MoodyPostgres(int(url.port or 0)) as postgres:
        behind = Database(url.set(host="127.0.0.1", port=postgres.port).render_as_string(hide_password=False))
        batcher = IngestBatcher(behind, _not_raised)
        bus.subscribe(USAGE_RECORDED, batcher.add)
        postgres.become(mood)
        with capture_logs() as logs:
            running = asyncio.create_task(bus.run(stop))
            await publish_all(broker_url, batched(rows))
            await reaches(lambda: sum(consumer.retried for consumer in bus.consumers), 3 * PREFETCH)
            assert batcher.oldest_seconds() > 0
            postgres.become(None)
            await reaches(lambda: batcher.added, EVENTS)
            await reaches(lambda: sum(consumer.handled for consumer in bus.consumers), len(batched(rows)))
            assert batcher.oldest_seconds() == 0
        stop.set()
        await running
        await bus.close()
        await behind.close()
    await assert_counted(database, account, EVENTS)
    said = Counter(line["event"] for line in logs)
    report.tell(f"consumer, PostgreSQL {mood}", f"{sum(c.retried for c in bus.consumers)} failures: {dict(said)}")
    assert (said["message_not_handled"], said["messages_handled_again"]) == (1, 1)
    assert said.total() <= MAX_LINES
