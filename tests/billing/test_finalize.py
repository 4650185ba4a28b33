"""Finalizing: one invoice an account and month, whatever happens beside it, and it never changes."""

import asyncio
import math
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from portal import audit, billing, plans
from portal.core.clock import utc_now
from portal.core.database import Database
from portal.core.ids import new_id
from portal.usage import settle_usage
from tests.billing.account import (
    GRACE,
    NOW,
    Crash,
    choose,
    crash_at,
    differences,
    finalize_all,
    finalize_next,
    lines,
    month,
    name,
    new_account,
    number_of,
    numbers_have_no_gap,
    use,
)
from tests.usage.sample import request_id

CLOSERS = 8
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.mark.fast
async def test_a_month_is_billed_with_its_usage_and_the_fee_ahead(own: Database) -> None:
    account_id = await new_account(own, opened=month(1))
    await choose(own, account_id, "pro", month(1) + HOUR)
    await use(own, account_id, month(1) + DAY, 3, cost=500_000)
    (done,) = await finalize_all(own, account_id)
    assert await lines(own, account_id, done.invoice) == [
        ("fee", name(1), None, "49.00"),
        ("fee", name(0), None, "49.00"),
        ("usage", name(1), 1_500_000, "30.00"),
    ]
    assert done.invoice is not None
    assert (done.invoice.period, done.invoice.total, done.invoice.currency) == (name(1), Decimal(128), "EUR")
    number = await number_of(own, done.invoice)
    assert number is not None
    assert number.startswith(f"{NOW.year}-")
    assert await differences(own, account_id, 1) == []
    async with own.transaction() as tx:
        (row, *_) = await audit.list_newest(tx, account_id, audit.AuditFilter(action="invoice"), most=2)
    assert (row.subject, row.details["number"]) == (done.invoice.id, number)


async def test_months_follow_one_another_and_the_current_one_waits(own: Database) -> None:
    account_id = await new_account(own, opened=month(3))
    await use(own, account_id, month(3) + DAY, 2)
    await use(own, account_id, month(1) + DAY, 5)
    done = await finalize_all(own, account_id)
    assert [(one.period, one.invoice is not None) for one in done] == [
        (name(3), True),
        (name(2), False),
        (name(1), True),
    ]
    assert await finalize_next(own, account_id) is None
    assert [await differences(own, account_id, back) for back in (3, 2, 1, 0)] == [[], [], [], []]


async def test_a_change_of_plan_is_prorated(own: Database) -> None:
    account_id = await new_account(own, opened=month(2))
    await choose(own, account_id, "pro", month(2) + HOUR)
    first = await finalize_next(own, account_id)
    await choose(own, account_id, "free", month(1) + 10 * DAY)
    second = await finalize_next(own, account_id)
    assert first is not None
    assert second is not None
    days = (month(0) - month(1)).days
    assert await lines(own, account_id, first.invoice) == [
        ("fee", name(2), None, "49.00"),
        ("fee", name(1), None, "49.00"),
        ("usage", name(2), 0, "0.00"),
    ]
    given_back = f"{-49 * (days - 11) / days:.2f}"
    assert await lines(own, account_id, second.invoice) == [
        ("fee", name(1), None, given_back),
        ("usage", name(1), 0, "0.00"),
        ("usage", name(1), 0, "0.00"),
    ], "the day of the change was Pro's, too"


async def test_units_are_priced_by_the_plan_of_their_day(own: Database) -> None:
    """Who changes to a cheaper plan before the month ends saves nothing of what was used."""
    account_id = await new_account(own, opened=month(2))
    await choose(own, account_id, "pro", month(2) + HOUR)
    await finalize_next(own, account_id)
    await use(own, account_id, month(1) + DAY, 20, cost=1_000_000)
    await choose(own, account_id, "free", month(0) - 2 * DAY + HOUR)
    await use(own, account_id, month(0) - DAY + HOUR, 1, cost=700)
    done = await finalize_next(own, account_id)
    assert done is not None
    (pro, free) = [line for line in await lines(own, account_id, done.invoice) if line[0] == "usage"]
    days = (month(0) - month(1)).days
    included, cheaper = (math.ceil(Decimal(tier) * (days - 1) / days) for tier in (1_000_000, 9_000_000))
    priced = cheaper * Decimal("0.00006") + (20_000_000 - included - cheaper) * Decimal("0.00004")
    assert pro[2:] == (20_000_000, f"{priced:.2f}")
    assert free[2:] == (700, "0.00")
    assert await differences(own, account_id, 1) == []


async def test_changing_there_and_back_every_day_is_billed_as_the_dearer_plan(own: Database) -> None:
    account_id = await new_account(own, opened=month(1))
    day = month(1)
    while day < month(0):
        await choose(own, account_id, "enterprise", day + timedelta(minutes=1))
        await choose(own, account_id, "free", day + timedelta(hours=23, minutes=59))
        day += DAY
    await use(own, account_id, month(1) + 5 * DAY, 60, cost=1_000_000)
    (done,) = await finalize_all(own, account_id)
    assert await lines(own, account_id, done.invoice) == [
        ("fee", name(1), None, "990.00"),
        ("usage", name(1), 60_000_000, "180.00"),
    ]


async def test_a_minimum_is_billed_though_nothing_was_used(own: Database) -> None:
    async with own.transaction() as tx:
        plan = plans.Plan(
            id=new_id("plan"),
            slug=new_id("p").lower(),
            name="Reserve",
            price=Decimal(0),
            limits=[],
            tariff={"currency": "EUR", "charges": [], "minimum": "25"},
            created_at=tx.now,
        )
        await tx.insert(plan)
    account_id = await new_account(own, opened=month(1))
    await choose(own, account_id, plan.slug, month(1) + HOUR)
    (done,) = await finalize_all(own, account_id)
    assert await lines(own, account_id, done.invoice) == [
        ("usage", name(1), 0, "0.00"),
        ("minimum", name(1), None, "25.00"),
    ]


async def test_an_account_that_somebody_holds_is_left_and_the_others_are_billed(own: Database) -> None:
    held, free = [await new_account(own, opened=month(1)) for _ in range(2)]
    for account_id in (held, free):
        await use(own, account_id, month(1) + DAY, 1)
    async with own.transaction() as tx:
        await tx.execute(text("SELECT FROM usage_periods WHERE account_id = :id FOR UPDATE"), {"id": held})
        with pytest.raises(DBAPIError, match="lock timeout"):
            await finalize_next(own, held)
        assert await finalize_next(own, free) is not None
    assert await finalize_next(own, held) is not None


async def test_late_usage_is_on_the_next_invoice_once(own: Database) -> None:
    account_id = await new_account(own, opened=month(3))
    await choose(own, account_id, "pro", month(3) + HOUR)
    await use(own, account_id, month(3) + DAY, 1, cost=1_000_000)
    await finalize_next(own, account_id)
    await use(own, account_id, month(3) + 2 * DAY, 4, cost=500_000)
    assert await differences(own, account_id, 3) == [], "it waits for the next invoice"
    second = await finalize_next(own, account_id)
    assert second is not None
    assert ("adjustment", name(3), 2_000_000, "120.00") in await lines(own, account_id, second.invoice)
    third = await finalize_next(own, account_id)
    assert third is not None
    assert [kind for kind, *_ in await lines(own, account_id, third.invoice)] == ["fee", "usage"]
    assert [await differences(own, account_id, back) for back in (3, 2, 1)] == [[], [], []]


async def test_late_usage_of_a_month_without_an_invoice_is_billed_too(own: Database) -> None:
    account_id = await new_account(own, opened=month(2))
    first = await finalize_next(own, account_id)
    assert first is not None
    assert first.invoice is None
    await use(own, account_id, month(2) + DAY, 7)
    second = await finalize_next(own, account_id)
    assert second is not None
    assert ("adjustment", name(2), 7, "0.00") in await lines(own, account_id, second.invoice)
    assert [await differences(own, account_id, back) for back in (2, 1)] == [[], []]


async def test_a_settlement_after_the_invoice_is_given_back_on_the_next(own: Database) -> None:
    account_id = await new_account(own, opened=month(1))
    await finalize_all(own, account_id)
    at = utc_now() - timedelta(minutes=5)
    await use(own, account_id, at, 1, cost=10)
    async with own.transaction() as tx:
        done = await billing.finalize_invoice(tx, account_id, -40 * DAY)
        assert done is not None
    async with own.transaction() as tx:
        await settle_usage(tx, request_id(at, 0), 4)
    async with own.transaction() as tx:
        following = await billing.finalize_invoice(tx, account_id, -80 * DAY)
        assert following is not None
    assert ("adjustment", done.period, -6, "0.00") in await lines(own, account_id, following.invoice)
    async with own.snapshot() as tx:
        assert await billing.audit_invoices(tx, [account_id], done.period) == []


async def test_eight_closers_at_once_write_one_invoice_each(own: Database) -> None:
    accounts = [await new_account(own, opened=month(2)) for _ in range(6)]
    for account_id in accounts:
        await use(own, account_id, month(2) + DAY, 3)
        await use(own, account_id, month(1) + DAY, 2)
    until = month(0)

    async def close() -> list[billing.FinalizedInvoice]:
        return [one for account_id in accounts for one in await finalize_all(own, account_id)]

    done = [one for closer in await asyncio.gather(*[close() for _ in range(CLOSERS)]) for one in closer]
    done += [one for account_id in accounts for one in await finalize_all(own, account_id)]
    invoices = [one.invoice for one in done if one.invoice is not None]
    counted = Counter((invoice.account_id, invoice.period) for invoice in invoices)
    assert counted == {(account_id, name(back)): 1 for account_id in accounts for back in (2, 1)}
    assert all(invoice.period_end <= until for invoice in invoices)
    await numbers_have_no_gap(own)


async def test_usage_that_comes_while_a_month_is_closed_is_on_one_of_two_invoices(own: Database) -> None:
    account_id, half = await new_account(own, opened=month(2)), asyncio.Event()

    async def ingest() -> None:
        for minute in range(40):
            await use(own, account_id, month(2) + timedelta(minutes=minute), 3)
            if minute == 10:
                half.set()

    async def close() -> billing.FinalizedInvoice | None:
        await half.wait()
        return await finalize_next(own, account_id)

    _, first = await asyncio.gather(ingest(), close())
    second = await finalize_next(own, account_id)
    assert first is not None
    assert second is not None
    (in_time,) = [units for kind, _, units, _ in await lines(own, account_id, first.invoice) if kind == "usage"]
    (late,) = [units for kind, _, units, _ in await lines(own, account_id, second.invoice) if kind == "adjustment"]
    assert (in_time + late, in_time >= 33, late > 0) == (120, True, True)
    assert [await differences(own, account_id, back) for back in (2, 1)] == [[], []]


@pytest.mark.parametrize("statement", range(1, 40))
async def test_a_crash_at_any_statement_leaves_nothing_and_the_next_try_does_it(
    own: Database, statement: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    account_id = await new_account(own, opened=month(1))
    await choose(own, account_id, "pro", month(1) + HOUR)
    await use(own, account_id, month(1) + DAY, 3)
    has_crashed = False
    try:
        async with own.transaction() as tx:
            crash_at(tx, tx.statements + statement)
            await billing.finalize_invoice(tx, account_id, GRACE)
    except Crash:
        has_crashed = True
    done = await finalize_all(own, account_id)
    assert len(done) == (1 if has_crashed else 0)
    async with own.transaction() as tx:
        assert await billing.count_invoices(tx, account_id) == 1
    assert await differences(own, account_id, 1) == []
    await numbers_have_no_gap(own)


async def test_an_invoice_never_changes(own: Database) -> None:
    account_id = await new_account(own, opened=month(1))
    await use(own, account_id, month(1) + DAY, 1)
    await finalize_all(own, account_id)
    for statement in (
        "UPDATE invoices SET total = 0",
        "DELETE FROM invoices",
        "UPDATE invoice_lines SET amount = 0",
        "DELETE FROM invoice_lines",
    ):
        for account in (account_id, None):
            with pytest.raises(DBAPIError, match="permission denied"):
                async with own.transaction(account) as tx:
                    await tx.execute(text(statement))
