"""What is over is finalized while the worker runs; one account's failure keeps no other waiting."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from portal import billing
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from tests.billing.account import GRACE, NOW, month, new_account, use
from tests.usage.databases import stocked_database
from workers import finalize_invoices


@pytest.fixture
async def own(services: EmbeddedServices) -> AsyncIterator[Database]:
    async with stocked_database(services) as database:
        yield database


async def invoices_of(database: Database, account_id: str) -> int:
    """Written, whether or not they have their number."""
    async with database.transaction() as tx:
        return await tx.get(
            text("SELECT count(*) FROM invoices WHERE account_id = :id"), {"id": account_id}, returns=int
        )


async def test_months_that_are_over_are_finalized_and_a_broken_account_keeps_nobody_waiting(
    own: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finalize_invoices, "BATCH_SIZE", 1)
    broken, well, waiting = [await new_account(own, opened=month(2)) for _ in range(3)]
    for account_id in (broken, well, waiting):
        await use(own, account_id, month(2) + timedelta(days=1), 1)
        await use(own, account_id, month(1) + timedelta(days=1), 1)
    async with own.transaction() as tx:
        later = {"id": waiting, "at": month(-1)}
        await tx.execute(text("UPDATE billing_accounts SET next_at = :at WHERE account_id = :id"), later)
        closed = text("UPDATE usage_periods SET closed_at = now() WHERE account_id = :id")
        await tx.execute(closed, {"id": broken})
    stop = asyncio.Event()
    running = asyncio.create_task(finalize_invoices.run(own, GRACE, stop))
    async with asyncio.timeout(30):
        while await invoices_of(own, well) < 2:
            pass
    stop.set()
    await running
    assert [await invoices_of(own, one) for one in (broken, waiting)] == [0, 0]


async def test_the_grace_is_kept(own: Database) -> None:
    account_id = await new_account(own, opened=month(1))
    await use(own, account_id, month(1) + timedelta(days=1), 1)
    for grace, is_done in ((NOW - month(0) + timedelta(days=1), False), (GRACE, True)):
        async with own.transaction() as tx:
            done = await billing.finalize_invoice(tx, account_id, grace)
        assert (done is not None) is is_done


async def test_it_outlives_a_database_that_is_away() -> None:
    away = Database("postgresql+asyncpg://nobody@127.0.0.1:9/none")
    stop = asyncio.Event()
    running = asyncio.create_task(finalize_invoices.run(away, GRACE, stop))
    await asyncio.sleep(0.3)
    assert not running.done()
    stop.set()
    await running
    await away.close()
