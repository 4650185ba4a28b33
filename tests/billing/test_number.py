"""Numbering: every invoice gets its number once, without a gap, and nobody sees it before."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from portal import audit, billing
from portal.billing import store
from portal.billing.number import year_of_issue
from portal.core.actor import SYSTEM, Actor
from portal.core.database import Database
from portal.core.ids import AccountId, new_id
from tests.billing.account import (
    GRACE,
    NOW,
    ZONE,
    Crash,
    choose,
    crash_at,
    differences,
    lines,
    month,
    name,
    new_account,
    number_all,
    number_of,
    numbers_have_no_gap,
    use,
)

HOLD = audit.Action("test.hold", "held the log of")
DAY = timedelta(days=1)


async def written(database: Database, *, months: int = 1) -> tuple[str, list[billing.Invoice]]:
    """An account with invoices that have no number yet."""
    account_id = await new_account(database, opened=month(months))
    for back in range(1, months + 1):
        await use(database, account_id, month(back) + DAY, 1)
    invoices = []
    for _ in range(months):
        async with database.transaction() as tx:
            done = await billing.finalize_invoice(tx, account_id, GRACE)
        assert done is not None
        assert done.invoice is not None
        invoices.append(done.invoice)
    return account_id, invoices


async def issue(database: Database, most: int = billing.MAX_NUMBERED) -> int:
    async with database.transaction() as tx:
        return await billing.number_invoices(tx, ZONE, most)


async def issued(database: Database, account_id: str) -> list[str]:
    """As the account itself sees them, by every way there is."""
    async with database.transaction(account_id) as tx:
        listed = [invoice.id for invoice in await billing.list_invoices(tx, account_id, most=10)]
        assert await billing.count_invoices(tx, account_id) == len(listed)
        # A process of an older version asks like this.
        assert await tx.get(text("SELECT count(*) FROM invoices"), returns=int) == len(listed)
    return listed


async def told(database: Database, account_id: str) -> list[tuple[str, str]]:
    """What the audit log says was finalized: (invoice, number), and that its chain holds."""
    async with database.snapshot() as tx:
        assert await audit.verify_chain(tx, account_id) is None
        events = await audit.list_audit_events(tx, account_id)
    return [(event.subject, event.details["number"]) for event in events if event.action == "invoice.finalize"]


@pytest.mark.fast
async def test_an_invoice_is_seen_and_told_once_it_has_its_number(own: Database) -> None:
    account_id, invoices = await written(own, months=3)
    ids = [invoice.id for invoice in invoices]
    assert (await issued(own, account_id), await told(own, account_id)) == ([], [])
    async with own.transaction(account_id) as tx:
        assert [await billing.find_invoice(tx, account_id, invoice_id) for invoice_id in ids] == [None] * 3
    before = [invoice.finalized_at for invoice in invoices]
    await number_all(own)
    assert await issued(own, account_id) == [*reversed(ids)], "the newest first"
    assert await told(own, account_id) == [(invoice.id, await number_of(own, invoice)) for invoice in invoices]
    async with own.transaction(account_id) as tx:
        found = [await billing.find_invoice(tx, account_id, invoice_id) for invoice_id in ids]
    assert all(invoice is not None and invoice.finalized_at > at for invoice, at in zip(found, before, strict=True))
    await numbers_have_no_gap(own)


async def test_a_draft_knows_what_an_invoice_without_a_number_charged(own: Database) -> None:
    account_id = await new_account(own, opened=month(1))
    await choose(own, account_id, "pro", month(1) + DAY)
    async with own.transaction() as tx:
        assert await billing.finalize_invoice(tx, account_id, GRACE) is not None

    async def draft() -> list[tuple[str, str]]:
        async with own.transaction(account_id) as tx:
            return [(line.kind, line.period) for line in (await billing.draft_invoice(tx, account_id)).lines]

    before = await draft()
    await number_all(own)
    assert before == await draft()
    assert ("fee", name(0)) not in before, "it was charged ahead"


async def test_who_writes_in_an_accounts_audit_log_keeps_only_its_own_number_waiting(own: Database) -> None:
    (held, (waiting,)), (_, (free,)) = await written(own), await written(own)
    async with own.transaction() as tx:
        await audit.record(tx, Actor("system", SYSTEM.id, AccountId(held)), HOLD, "key_1")
        await number_all(own)
        assert await number_of(own, waiting) is None
        assert await number_of(own, free) is not None
        async with own.transaction() as other:
            assert await billing.finalize_invoice(other, held, -60 * DAY) is not None, "finalizing waits for no log"
    await number_all(own)
    assert (await told(own, held))[0] == (waiting.id, await number_of(own, waiting))
    await numbers_have_no_gap(own)


async def test_the_audit_finds_nothing_while_numbers_are_missing(own: Database) -> None:
    account_id, _ = await written(own)
    async with own.snapshot() as tx:
        assert await billing.audit_numbers(tx) == []
    assert await differences(own, account_id, 1) == []
    await number_all(own)


@pytest.mark.parametrize("statement", range(1, 12))
async def test_a_crash_at_any_statement_gives_no_number_and_the_next_try_does(own: Database, statement: int) -> None:
    accounts = [await written(own, months=2), await written(own)]
    try:
        async with own.transaction() as tx:
            crash_at(tx, tx.statements + statement)
            await billing.number_invoices(tx, ZONE)
    except Crash:
        assert all([await number_of(own, invoice) is None for _, invoices in accounts for invoice in invoices])
    await number_all(own)
    for account_id, invoices in accounts:
        assert await told(own, account_id) == [(invoice.id, await number_of(own, invoice)) for invoice in invoices]
    await numbers_have_no_gap(own)


@pytest.mark.parametrize("most", [1, 2, 3, 500])
async def test_many_numberers_finalizers_and_processes_of_the_version_before_make_one_series(
    own: Database, most: int
) -> None:
    accounts = [await new_account(own, opened=month(2)) for _ in range(8)]
    for account_id in accounts:
        await use(own, account_id, month(2) + DAY, 1)
        await use(own, account_id, month(1) + DAY, 1)

    async def finalize() -> None:
        for account_id in accounts:
            async with own.transaction() as tx:
                await billing.finalize_invoice(tx, account_id, GRACE)
            await issue(own, most)

    async def finalize_as_before() -> None:
        for account_id in accounts:
            await number_as_before(own, account_id)

    await asyncio.gather(*[finalize() for _ in range(4)], finalize_as_before(), finalize_as_before())
    await number_all(own)
    events = [event for account_id in accounts for event in await told(own, account_id)]
    assert max(Counter(number for _, number in events).values()) == 1
    await numbers_have_no_gap(own)
    async with own.snapshot() as tx:
        assert await billing.audit_numbers(tx) == []


async def number_as_before(database: Database, account_id: str) -> None:
    """Another invoice of the account, as the version before wrote it: with its number, under the lock of the year."""
    async with database.transaction() as tx:
        last, invoice_id = await audit.lock_chain(tx, account_id), new_id("inv")
        first, now = await store.take_numbers(tx, tx.now.year, 1)
        number = f"{tx.now.year}-{first:06}"
        statement = """
        INSERT INTO invoices (id, account_id, number, period, period_start, period_end, currency,
            subtotal, tax, total, digest, finalized_at)
        VALUES (:id, :account, :number, :period, :at, :at, 'EUR', 0, 0, 0, '', :at)
        """
        values = {"id": invoice_id, "account": account_id, "number": number, "period": invoice_id, "at": now}
        await tx.execute(text(statement), values)
        actor = Actor("system", SYSTEM.id, AccountId(account_id))
        action = audit.find_action("invoice.finalize")
        assert action is not None
        await tx.insert(audit.build_event(tx, last, actor, action, invoice_id, number=number, total="0"))


async def test_a_number_never_changes_nor_anything_else_of_an_invoice(own: Database) -> None:
    account_id, (invoice,) = await written(own)
    for column in ("total = 0", "inputs = '{}'", "period = 'x'", "account_id = 'acct_x'"):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with own.transaction() as tx:
                await tx.execute(text(f"UPDATE invoices SET {column}"))
    with pytest.raises(DBAPIError, match="permission denied"):
        async with own.transaction(account_id) as tx:
            await tx.execute(text("UPDATE invoices SET number = 'mine'"))
    await number_all(own)
    number = await number_of(own, invoice)
    for assignment in ("number = 'other'", "number = NULL", "finalized_at = now()"):
        async with own.transaction() as tx:
            await tx.execute(text(f"UPDATE invoices SET {assignment} WHERE id = :id"), {"id": invoice.id})
    assert await number_of(own, invoice) == number
    with pytest.raises(RuntimeError, match="took one"):
        async with own.transaction() as tx:
            await store.number_invoices(tx, [invoice.id], ["other"], [NOW])


@pytest.mark.parametrize(
    ("zone", "instant", "year"),
    [
        ("UTC", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), 2026),
        ("UTC", datetime(2027, 1, 1, tzinfo=UTC), 2027),
        ("Europe/Berlin", datetime(2026, 12, 31, 22, 59, 59, tzinfo=UTC), 2026),
        ("Europe/Berlin", datetime(2026, 12, 31, 23, tzinfo=UTC), 2027),
        ("Pacific/Kiritimati", datetime(2026, 12, 31, 10, tzinfo=UTC), 2027),
        ("Etc/GMT+12", datetime(2027, 1, 1, 11, 59, tzinfo=UTC), 2026),
        ("Etc/GMT+12", datetime(2027, 1, 1, 12, tzinfo=UTC), 2027),
        ("America/New_York", datetime(2027, 1, 1, 4, 59, 59, tzinfo=UTC), 2026),
    ],
)
def test_the_year_is_that_of_issue_where_the_provider_is(zone: str, instant: datetime, year: int) -> None:
    assert year_of_issue(instant, ZoneInfo(zone)) == year


async def test_lines_are_as_they_were_before_the_number(own: Database) -> None:
    account_id, (invoice,) = await written(own)
    before = await lines(own, account_id, invoice)
    await number_all(own)
    assert await lines(own, account_id, invoice) == before
    assert await differences(own, account_id, 1) == []
