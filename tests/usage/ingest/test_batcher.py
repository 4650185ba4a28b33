"""Deliveries that come together are counted together; what fails is the business of its own deliverer alone."""

import asyncio

import pytest
from structlog.testing import capture_logs

from portal.core.database import Database
from portal.usage import IngestBatcher, UsageRecord, encode_batch
from portal.usage.ingest import IngestResult, batcher, ingest_batches
from tests.usage.sample import new_account, record, records
from tests.usage.truth import buckets_off, raw_totals


@pytest.fixture
def account() -> str:
    return new_account()


class Counters:
    """The quota counters: how often each was raised."""

    def __init__(self) -> None:
        self.raised: list[tuple[str, str, int, int]] = []

    async def raise_used(self, account_id: str, period: str, used: int, settled: int) -> None:
        self.raised.append((account_id, period, used, settled))


def one_each(account: str, count: int) -> list[bytes]:
    return [encode_batch([row]) for row in records(count, account_id=account)]


async def test_what_arrives_meanwhile_shares_a_transaction(database: Database, account: str) -> None:
    counters = Counters()
    ingest_batcher = IngestBatcher(database, counters.raise_used)
    await asyncio.gather(*(ingest_batcher.add(batch) for batch in one_each(account, 200)))
    assert await raw_totals(database, account) == (200, 200)
    assert set((await buckets_off(database, account)).values()) == {0}
    assert (ingest_batcher.batches, ingest_batcher.events, ingest_batcher.added, ingest_batcher.waiting_events) == (
        200,
        200,
        200,
        0,
    )
    assert ingest_batcher.transactions <= batcher.TRANSACTIONS + 1
    assert len(counters.raised) == ingest_batcher.transactions


async def test_a_transaction_has_a_largest_size(
    database: Database, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "MAX_EVENTS", 50)
    ingest_batcher = IngestBatcher(database, Counters().raise_used)
    rows = records(300, account_id=account)
    batches = [encode_batch(rows[begin : begin + 30]) for begin in range(0, 300, 30)]
    await asyncio.gather(*(ingest_batcher.add(batch) for batch in [*batches, encode_batch(rows)]))
    assert await raw_totals(database, account) == (300, 300)
    assert ingest_batcher.events == 600
    assert ingest_batcher.largest == 300
    assert ingest_batcher.transactions == 11


async def test_five_deliveries_of_everything_in_any_order_count_once(database: Database, account: str) -> None:
    ingest_batcher = IngestBatcher(database, Counters().raise_used)
    batches = one_each(account, 100) * 5
    await asyncio.gather(*(ingest_batcher.add(batch) for batch in reversed(batches)))
    assert await raw_totals(database, account) == (100, 100)
    assert ingest_batcher.added == 100


async def test_an_unavailable_dependency_fails_all_deliveries_and_they_may_come_again(
    database: Database, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest_batcher = IngestBatcher(database, Counters().raise_used)
    batches = one_each(account, 20)
    with monkeypatch.context() as patch:
        patch.setattr(batcher, "ingest_batches", _away)
        results = await asyncio.gather(*(ingest_batcher.add(batch) for batch in batches), return_exceptions=True)
    assert {type(result) for result in results} == {ConnectionError}
    await asyncio.gather(*(ingest_batcher.add(batch) for batch in batches))
    assert await raw_totals(database, account) == (20, 20)


async def test_one_that_breaks_the_code_fails_alone(
    database: Database, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, bad = ingest_batches, encode_batch([record(999, account_id=account)])

    async def break_on_bad(known: Database, batches: list[bytes], *more: object) -> IngestResult:
        if bad in batches:
            raise TypeError("a mistake of ours")
        return await whole(known, batches, *more)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(batcher, "ingest_batches", break_on_bad)
    ingest_batcher = IngestBatcher(database, Counters().raise_used)
    good = one_each(account, 20)
    results = await asyncio.gather(
        *(ingest_batcher.add(one) for one in [*good[:10], bad, *good[10:]]), return_exceptions=True
    )
    assert [type(result) for result in results].count(TypeError) == 1
    assert await raw_totals(database, account) == (20, 20)


async def test_who_stops_waiting_breaks_nothing(database: Database, account: str) -> None:
    ingest_batcher = IngestBatcher(database, Counters().raise_used)
    adding = [asyncio.create_task(ingest_batcher.add(batch)) for batch in one_each(account, 30)]
    await asyncio.sleep(0)
    for task in adding[::3]:
        task.cancel()
    await asyncio.gather(*adding, return_exceptions=True)
    await asyncio.gather(*(ingest_batcher.add(batch) for batch in one_each(account, 30)))
    assert await raw_totals(database, account) == (30, 30)


async def test_one_percent_poison_costs_no_healthy_record(database: Database, account: str) -> None:
    ingest_batcher = IngestBatcher(database, Counters().raise_used)
    rows: list[UsageRecord] = records(2000, account_id=account)
    wrong = [record(5000 + n, account_id=account, cost=-1) for n in range(20)]
    for number, bad in enumerate(wrong):
        rows.insert(number * 100 + 7, bad)
    batches = [encode_batch(rows[begin : begin + 101]) for begin in range(0, len(rows), 101)]
    with capture_logs():
        await asyncio.gather(*(ingest_batcher.add(batch) for batch in [*batches, *batches]))
    assert await raw_totals(database, account) == (2000, 2000)
    assert ingest_batcher.quarantined == 20


async def _away(*_: object) -> IngestResult:
    raise ConnectionError("PostgreSQL is away")
