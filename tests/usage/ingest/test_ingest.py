"""Ingest: every event once, whatever is repeated, reordered or concurrent; buckets are what the events add up to."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from portal.core.database import Database
from portal.usage import (
    Denial,
    DeniedLimit,
    LastUse,
    UsageRecord,
    decode_batch,
    encode_batch,
    ensure_partitions,
    find_request,
    ingest_usage,
    last_used_by_secret,
    used_in_period,
)
from portal.usage.ingest import PeriodTotal
from tests.usage.sample import NOON, new_account, record, records, request_id
from tests.usage.truth import buckets_off, raw_totals

RIGHT = {"usage_minutes": 0, "usage_quarters": 0, "usage_days": 0}


def varied(account: str, count: int, seed: int = 1) -> list[UsageRecord]:
    """Over three days around the change of a month."""
    dice = random.Random(seed)  # noqa: S311  # a test's dice
    begin = datetime(2026, 10, 30, 12, tzinfo=UTC)
    return [
        record(
            number,
            begin + timedelta(microseconds=dice.randrange(3 * 86_400 * 10**6)),
            account_id=account,
            key_id=f"key_{dice.randrange(3)}",
            secret_id=f"ksec_{dice.randrange(4)}",
            environment=dice.choice(["live", "live", "test"]),
            resource=f"GET /v1/{dice.randrange(5)}",
            code=dice.choice(["VALID", "VALID", "RATE_LIMITED"]),
            cost=dice.randrange(1, 9),
            period="2026-10",
        )
        for number in range(count)
    ]


async def used(database: Database, account: str, period: str) -> int:
    async with database.transaction(account) as tx:
        return await used_in_period(tx, account, period)


async def quarantined(database: Database, account: str) -> list[tuple[str, int]]:
    """(reason, cost) of the account's records, the oldest first."""
    statement = text("SELECT reason, body FROM usage_quarantine WHERE account_id = :account ORDER BY id")
    async with database.transaction() as tx:
        rows = (await tx.execute(statement, {"account": account})).all()
    return [(row.reason, decode_batch(row.body)[0].cost) for row in rows]


@pytest.fixture
def account() -> str:
    return new_account()


@pytest.mark.fast
async def test_once_and_again_is_once(database: Database, account: str) -> None:
    batch = encode_batch(records(500, account_id=account))
    total = [PeriodTotal(account, "2026-11", 500)]
    assert await ingest_usage(database, batch) == total
    assert await ingest_usage(database, batch) == total
    assert await raw_totals(database, account) == (500, 500)
    assert await used(database, account, "2026-11") == 500
    assert await buckets_off(database, account) == RIGHT


async def test_an_event_twice_in_a_batch_is_once(database: Database, account: str) -> None:
    await ingest_usage(database, encode_batch([record(account_id=account)] * 3))
    assert await raw_totals(database, account) == (1, 1)


async def test_buckets_and_totals_are_what_the_events_add_up_to(database: Database, account: str) -> None:
    rows = varied(account, 3000)
    for begin in range(0, 3000, 700):
        await ingest_usage(database, encode_batch(rows[begin : begin + 700]))
    assert await raw_totals(database, account) == (3000, sum(row.cost for row in rows))
    assert await buckets_off(database, account) == RIGHT
    billable = sum(row.cost for row in rows if row.code == "VALID" and row.environment == "live")
    assert await used(database, account, "2026-10") == billable
    assert await used(database, account, "2026-11") == 0


async def test_several_at_once_with_overlaps_neither_double_nor_deadlock(database: Database, account: str) -> None:
    rows = varied(account, 4000)
    dice = random.Random(7)  # noqa: S311  # a test's dice
    batches = [dice.sample(rows, 1500) for _ in range(8)] + [rows[1000:], rows[:1000]]
    for begin in range(0, len(batches), 4):
        group = batches[begin : begin + 4]
        await asyncio.gather(*(ingest_usage(database, encode_batch(batch)) for batch in group))
    assert await raw_totals(database, account) == (4000, sum(row.cost for row in rows))
    assert await buckets_off(database, account) == RIGHT
    billable = sum(row.cost for row in rows if row.code == "VALID" and row.environment == "live")
    assert await used(database, account, "2026-10") == billable


@pytest.mark.parametrize(
    ("changes", "units"),
    [
        ({"code": "RATE_LIMITED"}, 0),
        ({"environment": "test"}, 0),
        ({"period": "2026-10"}, 0),
        ({"cost": 7}, 7),
    ],
)
async def test_only_valid_on_live_keys_is_billable(
    database: Database, account: str, changes: dict[str, object], units: int
) -> None:
    await ingest_usage(database, encode_batch(records(1, account_id=account, **changes)))
    assert await used(database, account, "2026-11") == units
    assert (await raw_totals(database, account))[0] == 1


async def test_the_same_id_with_another_content_is_quarantined_and_changes_nothing(
    database: Database, account: str
) -> None:
    batches = [
        encode_batch([record(account_id=account)]),
        encode_batch([record(account_id=account, cost=9), record(1, account_id=account)]),
        encode_batch([record(2, account_id=account, cost=n) for n in (1, 2)]),
    ]
    with capture_logs() as logs:
        for batch in batches:
            await ingest_usage(database, batch)
    assert [(line["event"], line["count"]) for line in logs] == [("usage_quarantined", 1)] * 2
    for batch in reversed(batches):
        await ingest_usage(database, batch)
    assert await quarantined(database, account) == [("CONFLICT", 9), ("CONFLICT", 2)]
    assert await raw_totals(database, account) == (3, 3)
    assert await buckets_off(database, account) == RIGHT


async def test_a_month_without_a_partition_gets_one(database: Database, account: str) -> None:
    long_ago = datetime(2019, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)
    assert await ingest_usage(database, encode_batch([record(1, long_ago, account_id=account)])) == [
        PeriodTotal(account, "2019-02", 1)
    ]
    assert await buckets_off(database, account) == RIGHT


async def test_partitions_are_made_once_even_by_two_at_once(database: Database) -> None:
    around = datetime(2031, 12, 15, tzinfo=UTC)
    first, second = await asyncio.gather(ensure_partitions(database, around), ensure_partitions(database, around))
    assert {*first} | {*second} >= {"usage_events_2031_08", "usage_days_2032_03"}
    assert await ensure_partitions(database, around) == []


async def test_resources_that_no_index_could_hold_are_clipped(database: Database, account: str) -> None:
    wide = [record(0, account_id=account, resource="😀\0" * 5000), record(1, account_id=account, resource="a\0b")]
    await ingest_usage(database, encode_batch(wide))
    assert await raw_totals(database, account) == (2, 2)
    assert await buckets_off(database, account) == RIGHT


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"request_id": "req_nonsense"}, "MALFORMED"),
        ({"cost": 2**40}, "MALFORMED"),
        ({"cost": -1}, "MALFORMED"),
        ({"key_id": "a\0b"}, "MALFORMED"),
        ({"request_id": "req_\0" + "0" * 25}, "MALFORMED"),
        ({"secret_id": "k" * 65}, "MALFORMED"),
        ({"request_id": request_id(datetime(1999, 12, 31, tzinfo=UTC), 1)}, "MALFORMED"),
        ({"request_id": request_id(datetime(2999, 12, 31, tzinfo=UTC), 1)}, "FUTURE"),
    ],
)
async def test_a_bad_record_is_quarantined_alone(
    database: Database, account: str, bad: dict[str, object], reason: str
) -> None:
    wrong = record(1, **({"account_id": account} | bad))  # type: ignore[arg-type]  # the fields' own types vary
    batch = encode_batch([record(0, account_id=account), wrong, *more(account)])
    for _ in range(3):
        await ingest_usage(database, batch)
    assert await raw_totals(database, account) == (4, 4)
    assert await buckets_off(database, account) == RIGHT
    async with database.transaction() as tx:
        rows = (await tx.execute(text("SELECT reason, body FROM usage_quarantine ORDER BY id DESC LIMIT 1"))).all()
    assert [(row.reason, msgspec.msgpack.decode(row.body)[0][1]) for row in rows] == [(reason, account)]


async def test_a_node_whose_clock_is_wrong_holds_up_nobody(database: Database, account: str) -> None:
    at = datetime(2999, 12, 31, tzinfo=UTC)
    ahead = [record(number, at, account_id=account) for number in range(250)]
    for _ in range(2):
        await ingest_usage(database, encode_batch([*ahead, *more(account), ahead[0]]))
    assert await raw_totals(database, account) == (3, 3)
    assert await quarantined(database, account) == [("FUTURE", 1)] * 250


def more(account: str) -> list[UsageRecord]:
    return [record(number, account_id=account) for number in (2, 3, 4)]


async def test_an_account_that_no_text_can_hold_costs_its_batch_nothing(database: Database, account: str) -> None:
    wrong = record(1, account_id=f"{account}\0")
    await ingest_usage(database, encode_batch([record(0, account_id=account), wrong]))
    assert await raw_totals(database, account) == (1, 1)
    assert await quarantined(database, f"{account}\ufffd") == [("MALFORMED", 1)]


@pytest.mark.parametrize("body", [b"\x91" * 200_000 + b"\xc0", b"\x91" * 200_000, b"\xdd\xff\xff\xff\xff"])
async def test_arrays_within_arrays_are_no_batch_either(database: Database, body: bytes) -> None:
    assert await ingest_usage(database, body) == []
    async with database.transaction() as tx:
        found = await tx.list(text("SELECT reason FROM usage_quarantine WHERE body = :body"), {"body": body})
        await tx.execute(text("DELETE FROM usage_quarantine WHERE body = :body"), {"body": body})
    assert found == ["MALFORMED"]


async def test_a_message_that_is_no_batch_is_quarantined_whole(database: Database) -> None:
    body = f"nonsense {new_account()}".encode()
    assert await ingest_usage(database, body) == []
    async with database.transaction() as tx:
        found = await tx.list(text("SELECT reason FROM usage_quarantine WHERE body = :body"), {"body": body})
    assert found == ["MALFORMED"]


async def test_what_only_postgresql_refuses_is_found_among_the_healthy(
    database: Database, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.usage.ingest.validate._has_zero", lambda _: False)
    wrong = record(77, account_id=account, key_id="a\0b")
    await ingest_usage(database, encode_batch([*records(50, account_id=account), wrong]))
    assert await raw_totals(database, account) == (50, 50)
    assert await buckets_off(database, account) == RIGHT
    assert [reason for reason, _ in await quarantined(database, account)] == ["REFUSED"]


async def test_an_empty_batch_is_nothing(database: Database) -> None:
    assert await ingest_usage(database, encode_batch([])) == []


async def test_the_last_use_of_a_secret_never_goes_back(database: Database, account: str) -> None:
    later = NOON + timedelta(hours=1)
    for at in (later, NOON):
        await ingest_usage(database, encode_batch([record(1, at, account_id=account, secret_id="ksec_x")]))
    async with database.transaction(account) as tx:
        assert await last_used_by_secret(tx, account, ["ksec_x", "ksec_never"]) == {"ksec_x": LastUse(later, None)}


async def test_the_last_address_stays_until_another_one_is_reported(database: Database, account: str) -> None:
    told = [(0, "203.0.113.7"), (2, ""), (1, "203.0.113.9"), (3, "2001:db8::1"), (4, "")]
    seen = []
    for hours, address in told:
        at = NOON + timedelta(hours=hours)
        await ingest_usage(database, encode_batch([record(1, at, account_id=account, ip=address)]))
        async with database.transaction(account) as tx:
            seen.append((await last_used_by_secret(tx, account, ["ksec_a"]))["ksec_a"].address)
    assert seen == ["203.0.113.7", "203.0.113.7", "203.0.113.7", "2001:db8::1", "2001:db8::1"]


async def test_another_account_sees_nothing(database: Database, account: str) -> None:
    await ingest_usage(database, encode_batch([record(account_id=account)]))
    async with database.transaction(new_account()) as tx:
        assert await used_in_period(tx, account, "2026-11") == 0
        assert await tx.find(text("SELECT count(*) FROM usage_events")) == 0


async def test_what_a_denial_lacked_is_kept_with_the_event(database: Database, account: str) -> None:
    """Whatever texts are in it, and beside records of the version before, which say nothing of it."""
    limit = DeniedLimit("burst", 10, 9, 1000, None)
    denials = [
        Denial((limit, DeniedLimit("month", 5, None, 0, 1)), (), (), "2001:db8::1"),
        Denial((), ("a\0b", '\\u0000"'), ("\ud7ff",)),
        Denial(),
        None,
    ]
    rows = [
        record(number, account_id=account, code="RATE_LIMITED", denial=denial) for number, denial in enumerate(denials)
    ]
    before = msgspec.msgpack.encode([msgspec.msgpack.decode(encode_batch(rows[:1]))[0][:10]])
    await ingest_usage(database, encode_batch(rows[1:]))
    await ingest_usage(database, encode_batch(rows))
    await ingest_usage(database, before)
    async with database.transaction(account) as tx:
        found = [await find_request(tx, account, row.request_id) for row in rows]
    async with database.transaction() as tx:
        quarantined = await tx.get(
            text("SELECT count(*) FROM usage_quarantine WHERE account_id = :account"), {"account": account}, returns=int
        )
    told = [one.denial for one in found if one is not None]
    assert told == [denials[0], Denial((), ("a\ufffdb", '\\u0000"'), ("\ud7ff",)), Denial(), None]
    assert quarantined == 0
    assert await raw_totals(database, account) == (4, 4)


async def test_a_worker_of_the_version_before_counts_into_the_same_table(database: Database, account: str) -> None:
    """It names its ten columns."""
    columns = "account_id, occurred_at, request_id, key_id, secret_id, environment, resource, code, cost, period"
    row = record(account_id=account)
    async with database.transaction() as tx:
        await tx.execute(
            text(
                f"INSERT INTO usage_events ({columns}) VALUES (:a, :at, :r, 'k', 's', 'live', '', 'EXPIRED', 1, 'p')"
            ).bindparams(a=account, at=NOON, r=row.request_id)
        )
        found = await find_request(tx, account, row.request_id)
    assert found is not None
    assert found.denial is None
