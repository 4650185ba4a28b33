"""The audit finds every ledger that says something else, and nothing while usage comes in."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from portal.core.clock import utc_now
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.errors import Invalid
from portal.usage import (
    Difference,
    ExternalEvent,
    ResourceCap,
    Retention,
    UsageRecord,
    audit_accounts,
    encode_batch,
    ensure_partitions,
    ingest_external,
    ingest_usage,
    list_accounts_to_audit,
    list_months_to_audit,
    parse_month,
)
from portal.usage.audit.audit_accounts import ledgers_with
from portal.usage.rules import month_of
from tests.usage.databases import own_database
from tests.usage.sample import new_account, record

NOW = utc_now()
MONTH = month_of(NOW)
AT = MONTH + timedelta(hours=1, minutes=7)
DAY = f"{MONTH:%Y-%m-%d}"


@pytest.fixture(scope="module")
async def own(services: EmbeddedServices) -> AsyncIterator[Database]:
    async with own_database(services) as database:
        await ensure_partitions(database, NOW)
        yield database


@pytest.fixture
async def account(own: Database) -> str:
    account = new_account()
    await ingest_usage(own, encode_batch(usage_of(account, 60)))
    await ingest_external(own, [external(account)], "svc_1", ResourceCap())
    return account


def usage_of(account: str, count: int, first: int = 0) -> list[UsageRecord]:
    """Of two keys, a second apart, partly in another period."""
    return [
        record(
            number,
            AT + timedelta(seconds=number),
            account_id=account,
            key_id=f"key_{number % 2}",
            code="VALID" if number % 5 else "RATE_LIMITED",
            resource=f"GET /{number % 3}",
            cost=2,
        )
        for number in range(first, first + count)
    ]


def external(account: str) -> ExternalEvent:
    return ExternalEvent(account, "/s", "1", AT, "", "live", "render", 5, f"{AT:%Y-%m}")


async def differences(database: Database, account: str, retention: Retention | None = None) -> list[Difference]:
    async with database.snapshot() as tx:
        return await audit_accounts(tx, [account], MONTH, retention or Retention())


async def change(database: Database, statement: str, account: str) -> None:
    async with database.transaction() as tx:
        await tx.execute(text(statement), {"account": account})


async def test_what_agrees_agrees(own: Database, account: str) -> None:
    assert await differences(own, account) == []
    async with own.snapshot() as tx:
        assert account in await list_accounts_to_audit(tx, MONTH, after="", most=10_000)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "UPDATE usage_minutes SET units = units + 1 WHERE account_id = :account AND key_id = 'key_1' AND calls > 0",
            [("minutes", "events", "units"), ("quarter-hours", "minutes", "units")],
        ),
        (
            "DELETE FROM usage_quarters WHERE account_id = :account AND key_id = 'key_1'",
            [
                ("quarter-hours", "minutes", "calls"),
                ("quarter-hours", "minutes", "units"),
                ("days", "quarter-hours", "calls"),
                ("days", "quarter-hours", "units"),
            ],
        ),
        (
            "UPDATE usage_days SET calls = calls + 1 WHERE account_id = :account AND key_id = 'key_1'",
            [("days", "quarter-hours", "calls")],
        ),
        (
            "UPDATE usage_days SET outcome = 'X' || outcome WHERE account_id = :account AND key_id = 'key_1'",
            [("days", "quarter-hours", "calls")],
        ),
        (
            "UPDATE usage_minutes SET bucket_at = bucket_at + interval '9 minutes'"
            " WHERE account_id = :account AND key_id = 'key_1'",
            [("minutes", "events", "calls"), ("quarter-hours", "minutes", "calls")],
        ),
    ],
)
async def test_a_bucket_that_is_off_is_found_by_key_and_day(
    own: Database, account: str, statement: str, found: list[tuple[str, str, str]]
) -> None:
    await change(own, statement, account)
    told = await differences(own, account)
    assert [(one.ledger, one.against, one.measure) for one in told] == found
    assert {(one.account_id, one.key_id, one.day) for one in told} == {(account, "key_1", DAY)}
    assert all(one.first_at is not None and one.first_at >= MONTH for one in told)


async def test_a_raw_event_that_is_missing_is_found_by_all(own: Database, account: str) -> None:
    await change(own, "DELETE FROM usage_events WHERE account_id = :account AND resource = 'render'", account)
    told = await differences(own, account)
    assert [(one.ledger, one.measure, one.expected, one.found) for one in told] == [
        ("minutes", "calls", 0, 1),
        ("minutes", "units", 0, 5),
        ("events", "events", 1, 0),
        (f"period {MONTH:%Y-%m}", "billable units", 96, 101),
    ]


async def test_a_period_that_is_off_is_found(own: Database, account: str) -> None:
    await change(own, "UPDATE usage_periods SET used = used - 1 WHERE account_id = :account", account)
    [told] = await differences(own, account)
    assert (told.expected, told.found, told.key_id, told.day) == (101, 100, "", "")
    await change(own, "DELETE FROM usage_periods WHERE account_id = :account", account)
    assert [(one.expected, one.found) for one in await differences(own, account)] == [(101, 0)]


async def test_usage_without_raw_events_is_audited_too(own: Database, account: str) -> None:
    for table in ("usage_events", "usage_minutes", "usage_quarters", "usage_periods"):
        await change(own, f"DELETE FROM {table} WHERE account_id = :account", account)
    async with own.snapshot() as tx:
        assert account in await list_accounts_to_audit(tx, MONTH, after="", most=10_000)
    assert {one.ledger for one in await differences(own, account)} == {"days", "events"}


async def test_a_set_of_accounts_says_of_each_what_it_says_alone(own: Database) -> None:
    accounts = [new_account() for _ in range(6)]
    for count, account in enumerate(accounts, start=20):
        await ingest_usage(own, encode_batch(usage_of(account, count)))
        await ingest_external(own, [external(account)], "svc_1", ResourceCap())
    for place, statement in enumerate(
        (
            "UPDATE usage_minutes SET units = units + 1 WHERE account_id = :account",
            "DELETE FROM usage_events WHERE account_id = :account",
            "UPDATE usage_periods SET used = 0 WHERE account_id = :account",
            "DELETE FROM usage_days WHERE account_id = :account AND key_id = 'key_0'",
        )
    ):
        await change(own, statement, accounts[place])
    alone = [difference for account in accounts for difference in await differences(own, account)]
    async with own.snapshot() as tx:
        together = await audit_accounts(tx, accounts, MONTH, Retention())
        assert await audit_accounts(tx, [], MONTH, Retention()) == []
    assert len(alone) >= 4
    assert sorted(together, key=repr) == sorted(alone, key=repr)


@pytest.mark.parametrize("most", [1, 2, 3, 7])
async def test_accounts_are_listed_a_page_after_the_other(own: Database, most: int) -> None:
    for tables in ((), ("usage_periods",), ("usage_events", "usage_minutes", "usage_quarters", "usage_periods")):
        account = new_account()
        await ingest_usage(own, encode_batch(usage_of(account, 3)))
        for table in tables:
            await change(own, f"DELETE FROM {table} WHERE account_id = :account", account)
    async with own.snapshot() as tx:
        whole = await list_accounts_to_audit(tx, MONTH, after="", most=10_000)
        paged: list[str] = []
        while page := await list_accounts_to_audit(tx, MONTH, after=paged[-1] if paged else "", most=most):
            paged += page
    assert paged == whole


async def test_live_ingest_makes_no_difference(own: Database) -> None:
    account, done = new_account(), asyncio.Event()

    async def ingest() -> None:
        for first in range(0, 2000, 50):
            await ingest_usage(own, encode_batch(usage_of(account, 50, first)))
        done.set()

    ingesting, rounds = asyncio.create_task(ingest()), 0
    while not done.is_set():
        assert await differences(own, account) == []
        rounds += 1
    await ingesting
    assert rounds > 1


async def test_ledgers_that_are_gone_are_not_compared(own: Database, account: str) -> None:
    await change(own, "DELETE FROM usage_minutes WHERE account_id = :account", account)
    assert await differences(own, account) != []
    earlier, later = month_of(MONTH - timedelta(days=40)), NOW
    kept = ledgers_with(earlier, later, Retention(raw=13, minute=1, quarter=25, day=120))
    assert [ledger.name for ledger in kept] == ["events", "quarter-hours", "days"]


def test_months_reach_back_as_far_as_two_ledgers_do() -> None:
    months = list_months_to_audit(NOW, Retention(raw=2, minute=1, quarter=4, day=9))
    assert (len(months), months[0]) == (5, MONTH)


@pytest.mark.parametrize("period", ["2026", "2026-13", "nonsense", "2026-11-01"])
def test_a_period_has_a_form(period: str) -> None:
    with pytest.raises(Invalid):
        parse_month(period)
    assert isinstance(parse_month("2026-11"), datetime)
