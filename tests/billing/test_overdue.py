"""Overdue: what billing does not get done, and never what it is about to do, however much that is."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from portal import billing
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from tests.billing.account import GRACE, finalize_next, month, new_account, number_all, use
from tests.usage.databases import stocked_database
from workers import finalize_invoices

DAY = timedelta(days=1)
ACCOUNTS = 5


@pytest.fixture
async def own(services: EmbeddedServices) -> AsyncIterator[Database]:
    async with stocked_database(services) as database:
        yield database


async def overdue(database: Database, *, after: timedelta = timedelta(0), grace: timedelta = GRACE) -> int:
    """What is overdue once so much more time has passed."""
    async with database.transaction() as tx:
        tx.now += after
        return await billing.count_overdue(tx, grace)


async def accounts_of_last_month(database: Database) -> list[str]:
    accounts = [await new_account(database, opened=month(1)) for _ in range(ACCOUNTS)]
    for account_id in accounts:
        await use(database, account_id, month(1) + DAY, 1)
    return accounts


async def test_a_run_that_bills_one_after_the_other_is_not_overdue_and_one_that_stands_still_is(own: Database) -> None:
    accounts = await accounts_of_last_month(own)
    assert await overdue(own) == ACCOUNTS, "nobody bills"
    assert await overdue(own, grace=60 * DAY) == 0, "nothing is due"
    for billed, account_id in enumerate(accounts, start=1):
        await finalize_next(own, account_id)
        assert await overdue(own) == 0
        assert await overdue(own, after=timedelta(minutes=9)) == 0
        assert await overdue(own, after=timedelta(minutes=11)) == ACCOUNTS - billed


async def test_an_account_that_fails_is_overdue_amid_a_run_that_does_not(own: Database) -> None:
    accounts = await accounts_of_last_month(own)
    broken = accounts[2]
    async with own.transaction() as tx:
        closed = text("UPDATE usage_periods SET closed_at = now() WHERE account_id = :id")
        await tx.execute(closed, {"id": broken})
    stop = asyncio.Event()
    running = asyncio.create_task(finalize_invoices.run(own, GRACE, stop))
    async with asyncio.timeout(30):
        while await failing(own) != [broken]:
            pass
        while await unbilled(own) != [broken]:
            pass
    stop.set()
    await running
    await number_all(own)
    assert await overdue(own) == 0, "it has failed for no ten minutes"
    other = await new_account(own, opened=month(1))
    async with own.transaction() as tx:
        earlier = text("UPDATE billing_accounts SET failing_since = failing_since - interval '11 minutes'")
        await tx.execute(earlier)
    assert await finalize_next(own, other) is not None
    assert await overdue(own) == 1
    async with own.transaction() as tx:
        await tx.execute(text("UPDATE usage_periods SET closed_at = NULL WHERE account_id = :id"), {"id": broken})
    await finalize_next(own, broken)
    assert (await overdue(own), await failing(own)) == (0, [])


async def test_an_invoice_that_waits_for_its_number_is_overdue(own: Database) -> None:
    account_id = (await accounts_of_last_month(own))[0]
    async with own.transaction() as tx:
        await billing.finalize_invoice(tx, account_id, GRACE)
    assert await overdue(own) == 0
    assert await overdue(own, after=timedelta(minutes=11)) == ACCOUNTS, "the others, and this one"
    await number_all(own)
    assert await overdue(own, after=timedelta(minutes=11)) == ACCOUNTS - 1


async def failing(database: Database) -> list[object]:
    async with database.transaction() as tx:
        return await tx.list(text("SELECT account_id FROM billing_accounts WHERE failing_since IS NOT NULL"))


async def unbilled(database: Database) -> list[object]:
    async with database.transaction() as tx:
        return await tx.list(text("SELECT account_id FROM billing_accounts WHERE next_at < now()"))
