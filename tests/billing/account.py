"""An account with a past: opened months ago, on plans since some day, with usage in months that are over."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from portal import billing, plans
from portal.core.clock import utc_now
from portal.core.database import Database, Tx
from portal.core.ids import new_id
from portal.usage import encode_batch, ingest_usage
from portal.usage.rules import month_of, months_from
from tests.plans.old_process import choose_as_old_process
from tests.usage.sample import record

GRACE = timedelta(0)
ZONE = ZoneInfo("UTC")
NOW = utc_now()


def month(back: int) -> datetime:
    """The beginning of a month in UTC, 0 being the current one."""
    return months_from(month_of(NOW), -back)


def name(back: int) -> str:
    return f"{month(back):%Y-%m}"


async def new_account(database: Database, *, opened: datetime, time_zone: str = "UTC") -> str:
    account_id = new_id("acct")
    values = {"id": account_id, "zone": time_zone, "at": opened}
    statement = text("INSERT INTO accounts (id, name, time_zone, created_at) VALUES (:id, 'Acme', :zone, :at)")
    async with database.transaction() as tx:
        await tx.execute(statement, values)
        await billing.register_accounts(tx)
    return account_id


async def choose(database: Database, account_id: str, slug: str, at: datetime) -> None:
    """As a process of the version before did: at once, whichever way."""
    async with database.transaction() as tx:
        plan = await plans.get_plan_called(tx, slug)
        await choose_as_old_process(tx, account_id, plan.id, at)


async def use(database: Database, account_id: str, at: datetime, calls: int, cost: int = 1) -> None:
    counted = [record(number, at, account_id=account_id, cost=cost) for number in range(calls)]
    await ingest_usage(database, encode_batch(counted))


async def finalize_next(database: Database, account_id: str) -> billing.FinalizedInvoice | None:
    """The account's next month, written and numbered."""
    async with database.transaction() as tx:
        done = await billing.finalize_invoice(tx, account_id, GRACE)
    await number_all(database)
    return done


async def number_all(database: Database) -> int:
    """Number what waits; returns how many."""
    numbered = 0
    while True:
        async with database.transaction() as tx:
            count = await billing.number_invoices(tx, ZONE)
        numbered += count
        if not count:
            return numbered


async def number_of(database: Database, invoice: billing.Invoice | None) -> str | None:
    """The number that the invoice has by now."""
    assert invoice is not None
    async with database.transaction() as tx:
        return await tx.find(text("SELECT number FROM invoices WHERE id = :id"), {"id": invoice.id}, returns=str)


async def finalize_all(database: Database, account_id: str) -> list[billing.FinalizedInvoice]:
    done = []
    while (one := await finalize_next(database, account_id)) is not None:
        done.append(one)
    return done


async def an_invoice(database: Database, account_id: str) -> str:
    """The id of one of the account's, which is made older for it if it has none."""
    async with database.transaction() as tx:
        if found := await billing.list_invoices(tx, account_id, most=1):
            return found[0].id
        await tx.execute(
            text("UPDATE accounts SET created_at = :at WHERE id = :id"), {"id": account_id, "at": month(1)}
        )
        await tx.execute(text("DELETE FROM billing_accounts WHERE account_id = :id"), {"id": account_id})
        await billing.register_accounts(tx)
    await use(database, account_id, month(1) + timedelta(days=1), 1)
    (done,) = await finalize_all(database, account_id)
    assert done.invoice is not None
    return done.invoice.id


async def lines(database: Database, account_id: str, invoice: billing.Invoice | None) -> list[tuple[Any, ...]]:
    """Kind, period, units and amount of each."""
    assert invoice is not None
    async with database.transaction() as tx:
        rows = await billing.list_lines(tx, account_id, [invoice.id])
    return [(row.kind, row.period, row.units, f"{row.amount:.2f}") for row in rows]


async def differences(database: Database, account_id: str, back: int) -> list[tuple[str, int, int]]:
    async with database.snapshot() as tx:
        found = await billing.audit_invoices(tx, [account_id], name(back))
    return [(one.measure, one.expected, one.found) for one in found]


async def numbers_have_no_gap(database: Database) -> None:
    """Every invoice has its number, all of this year, and they follow the time of issue."""
    async with database.transaction() as tx:
        numbers = await tx.list(text("SELECT number FROM invoices ORDER BY finalized_at"))
    assert numbers == [f"{NOW.year}-{number:06}" for number in range(1, len(numbers) + 1)]


class Crash(Exception):
    """The process ends here."""


def crash_at(tx: Tx, statement: int) -> None:
    """Before the statement of this number is sent."""
    send = tx._send

    async def send_or_crash(work: Any) -> Any:
        if tx.statements + 1 >= statement:
            raise Crash
        return await send(work)

    tx._send = send_or_crash  # type: ignore[method-assign,assignment]
