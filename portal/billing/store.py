"""Statements of billing."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, cast

from sqlalchemy import CursorResult, Integer, Select, bindparam, func, select, text, tuple_, union_all
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from portal.billing.models import BillingAccount, Invoice, InvoiceLine, InvoiceNumber
from portal.billing.rate import LineKind
from portal.core.columns import INSTANT
from portal.core.database import Tx
from portal.plans import AccountPeriod

_MISSING = text("""
WITH portion AS (SELECT id FROM accounts WHERE id > :after ORDER BY id LIMIT :most)
SELECT max(id) AS last, count(*) AS seen, coalesce(array_agg(id) FILTER (
    WHERE NOT EXISTS (SELECT FROM billing_accounts known WHERE known.account_id = portion.id)
), '{}') AS missing FROM portion
""")
_COUNT = bindparam("count", type_=Integer)
_NEXT_NUMBERS = (
    insert(InvoiceNumber)
    .values(year=bindparam("year", type_=Integer), last=_COUNT)
    .on_conflict_do_update(index_elements=["year"], set_={"last": col(InvoiceNumber.last) + _COUNT})
    .returning(col(InvoiceNumber.last), func.clock_timestamp().label("now"))
)
# One numberer at a time: any other finds the work done by it. Also the clock, once the lock is there.
_LOCK_NUMBERING = text(
    "SELECT clock_timestamp() FROM pg_try_advisory_xact_lock(hashtextextended('numbers', 0)) got WHERE got"
)
_NUMBER = text("""
UPDATE invoices SET number = given.number, finalized_at = given.at
FROM unnest(CAST(:ids AS text[]), CAST(:numbers AS text[]), CAST(:ats AS timestamptz[])) AS given (id, number, at)
WHERE invoices.id = given.id AND invoices.number IS NULL
""")
OVERDUE = timedelta(hours=1)
"""Beyond the grace: so long it may take to bill a month, and longer for as long as one account after the other is."""
NO_PROGRESS = timedelta(minutes=10)
"""Without an account billed, or with one that fails, or an invoice that waits for its number."""
_OVERDUE = text("""
SELECT CASE WHEN EXISTS (SELECT FROM billing_accounts WHERE billed_at > :since)
    THEN (SELECT count(*) FROM billing_accounts WHERE failing_since <= :since AND next_at <= :until)
    ELSE (SELECT count(*) FROM billing_accounts WHERE next_at <= :until)
    END + (SELECT count(*) FROM invoices WHERE number IS NULL AND finalized_at <= :since)
""").bindparams(bindparam("since", type_=INSTANT), bindparam("until", type_=INSTANT))
_FAILED = text("""
UPDATE billing_accounts SET failing_since = clock_timestamp() WHERE account_id = :account AND failing_since IS NULL
""")
_NUMBERS = text("""
SELECT year, last, count(invoice.id) AS invoices FROM invoice_numbers
LEFT JOIN invoices invoice ON split_part(invoice.number, '-', 1) = year::text
GROUP BY year, last HAVING count(invoice.id) <> last ORDER BY year
""")


class Due(NamedTuple):
    """An account whose next period ended at `next_at`."""

    next_at: datetime
    account_id: str


class Unnumbered(NamedTuple):
    """An invoice that has no number yet."""

    id: str
    account_id: str
    total: Decimal


async def list_unregistered(tx: Tx, after: str, most: int) -> tuple[list[str], str | None]:
    """List the accounts that billing does not know, of the next `most` by id, and the last of these; None at the end.

    The one statement that reads another domain's table, `accounts`: which accounts are missing is an anti-join of the
    two. A list from portal.accounts would be all accounts, every hour; one of those since a mark would miss what a
    transaction that began before it committed after it, and such an account would never be billed.
    """
    row = (await tx.execute(_MISSING, {"after": after, "most": most})).one()
    return row.missing, row.last if row.seen == most else None


async def insert_billing(tx: Tx, first_periods: Mapping[str, AccountPeriod]) -> None:
    """Register accounts with the first period that is billed; those that are registered stay as they are."""
    rows = [
        {"account_id": account_id, "first_period": period.name, "next_period": period.name, "next_at": period.end}
        for account_id, period in first_periods.items()
    ]
    if rows:
        await tx.execute(insert(BillingAccount).values(rows).on_conflict_do_nothing())


async def list_due(tx: Tx, until: datetime, *, after: Due | None, most: int) -> list[Due]:
    """List accounts whose next period had ended at `until`, the longest ago first; `after` is the last one seen."""
    place = col(BillingAccount.next_at), col(BillingAccount.account_id)
    statement = select(*place).where(col(BillingAccount.next_at) <= until)
    if after is not None:
        statement = statement.where(tuple_(*place) > after)
    rows = await tx.execute(statement.order_by(*place).limit(most))
    return [Due(row.next_at, row.account_id) for row in rows]


async def count_overdue(tx: Tx, grace: timedelta) -> int:
    """Count the accounts that should have been billed an hour ago, and invoices that wait for their numbers.

    While accounts are billed one after the other only those count that fail: a large run takes as long as it takes.
    """
    values = {"since": tx.now - NO_PROGRESS, "until": tx.now - grace - OVERDUE}
    return await tx.get(_OVERDUE, values, returns=int)


async def record_failure(tx: Tx, account_id: str) -> None:
    """Note since when billing an account fails, until it succeeds."""
    await tx.execute(_FAILED, {"account": account_id})


async def lock_due(tx: Tx, account_ids: Sequence[str], until: datetime) -> list[BillingAccount]:
    """Lock the billing of those accounts whose period had ended, until the transaction ends, and return it by account.

    Leaves out accounts that another transaction has.
    """
    account = col(BillingAccount.account_id)
    statement = select(BillingAccount).where(account.in_(account_ids), col(BillingAccount.next_at) <= until)
    return await tx.list(statement.order_by(account).with_for_update(skip_locked=True))


async def find_billing(tx: Tx, account_id: str) -> BillingAccount | None:
    return await tx.find(_billing(account_id))


async def lock_numbering(tx: Tx) -> datetime | None:
    """Become the one who gives numbers until the transaction ends. Returns the time; None while another does."""
    return await tx.find(_LOCK_NUMBERING, returns=datetime)


async def list_unnumbered(tx: Tx, most: int) -> list[Unnumbered]:
    """List invoices without a number, across accounts, those computed first at the front."""
    columns = col(Invoice.id), col(Invoice.account_id), col(Invoice.total)
    statement = select(*columns).where(col(Invoice.number).is_(None))
    rows = await tx.execute(statement.order_by(col(Invoice.finalized_at), col(Invoice.id)).limit(most))
    return [Unnumbered(row.id, row.account_id, row.total) for row in rows]


async def take_numbers(tx: Tx, year: int, count: int) -> tuple[int, datetime]:
    """Take the next `count` numbers of a year. Returns the first and when it was given, in the order of the numbers.

    The year stays locked until the commit; a rollback gives the numbers back.
    """
    row = (await tx.execute(_NEXT_NUMBERS, {"year": year, "count": count})).one()
    return row.last - count + 1, row.now


async def number_invoices(tx: Tx, ids: Sequence[str], numbers: Sequence[str], ats: Sequence[datetime]) -> None:
    """Give each invoice its number and the time. Raises RuntimeError where one has a number already."""
    result = await tx.execute(_NUMBER, {"ids": [*ids], "numbers": [*numbers], "ats": [*ats]})
    if (numbered := cast("CursorResult[Any]", result).rowcount) != len(ids):
        raise RuntimeError(f"{len(ids)} numbers were given, and {numbered} invoices took one")


async def list_number_gaps(tx: Tx) -> list[tuple[int, int, int]]:
    """List years in which numbers given and invoices differ: (year, numbers, invoices)."""
    return [(row.year, row.last, row.invoices) for row in await tx.execute(_NUMBERS)]


async def find_invoice(tx: Tx, account_id: str, invoice_id: str) -> Invoice | None:
    """Return an issued invoice: one that has its number."""
    return await tx.find(_issued(account_id).where(col(Invoice.id) == invoice_id))


async def find_invoice_of(tx: Tx, account_id: str, period: str) -> Invoice | None:
    """Return the period's invoice, with or without its number."""
    return await tx.find(_invoices(account_id).where(col(Invoice.period) == period))


async def list_invoices(
    tx: Tx, account_id: str, *, most: int, after: tuple[datetime, str] | None = None
) -> list[Invoice]:
    """List issued invoices, the newest first; `after` is (finalized_at, id) of the last one seen."""
    place = tuple_(col(Invoice.finalized_at), col(Invoice.id))
    statement = _issued(account_id)
    if after is not None:
        statement = statement.where(place < after)
    newest_first = (col(Invoice.finalized_at).desc(), col(Invoice.id).desc())
    return await tx.list(statement.order_by(*newest_first).limit(most))


async def count_invoices(tx: Tx, account_id: str) -> int:
    """Count issued invoices."""
    statement = select(func.count()).where(col(Invoice.account_id) == account_id, col(Invoice.number).is_not(None))
    return await tx.get(statement)


async def list_lines(tx: Tx, account_id: str, invoice_ids: Sequence[str]) -> list[InvoiceLine]:
    """List the lines of these invoices, in their order on each."""
    return await list_lines_of(tx, [account_id], invoice_ids)


async def list_fees(tx: Tx, account_id: str, period: str) -> list[InvoiceLine]:
    """List what was charged and credited of plans for days of a period, in that order, issued or not."""
    statement = (
        select(InvoiceLine)
        .where(col(InvoiceLine.account_id) == account_id, col(InvoiceLine.period) == period)
        .where(col(InvoiceLine.first_day).is_not(None))
        .order_by(col(InvoiceLine.invoice_id), col(InvoiceLine.position))  # ids follow their time
    )
    return await tx.list(statement)


async def list_billed_units(tx: Tx, account_ids: Sequence[str], period: str) -> dict[str, int]:
    """Return a period's units on all invoices, by account: what its own bills, and what later ones add.

    Several charges of a plan bill the same units, each with a line of its own.
    """
    account, units = col(InvoiceLine.account_id), col(InvoiceLine.units)
    of_period = account.in_(account_ids), col(InvoiceLine.period) == period
    used = select(account, func.max(units).label("units")).where(*of_period, col(InvoiceLine.kind) == LineKind.USAGE)
    by_plan = used.group_by(account, col(InvoiceLine.plan_id), col(InvoiceLine.plan_version))
    late = select(account, units).where(*of_period, col(InvoiceLine.kind) == LineKind.ADJUSTMENT)
    parts = union_all(by_plan, late).subquery()
    rows = await tx.execute(
        select(parts.c.account_id, func.sum(parts.c.units).label("units")).group_by(parts.c.account_id)
    )
    return {row.account_id: int(row.units or 0) for row in rows}


async def adjusted_units(tx: Tx, account_id: str, period: str) -> dict[tuple[str, int | None], int]:
    """Return the units that later invoices add to a period's, by plan and its version."""
    by_plan = col(InvoiceLine.plan_id), col(InvoiceLine.plan_version)
    statement = select(*by_plan, func.sum(col(InvoiceLine.units)).label("units")).where(
        col(InvoiceLine.account_id) == account_id,
        col(InvoiceLine.period) == period,
        col(InvoiceLine.kind) == LineKind.ADJUSTMENT,
        col(InvoiceLine.units).is_not(None),
    )
    rows = await tx.execute(statement.group_by(*by_plan))
    return {(row.plan_id, row.plan_version): int(row.units) for row in rows}


async def find_newest_invoice(tx: Tx, account_id: str) -> Invoice | None:
    """Return the invoice of an account's newest period that has one, with or without its number."""
    return await tx.find(_invoices(account_id).order_by(col(Invoice.period).desc()).limit(1))


async def list_invoiced(tx: Tx, period: str, *, after: str, most: int) -> list[str]:
    """List the next `most` accounts by id, of all after one, who have an invoice of the period."""
    account = col(Invoice.account_id)
    return await tx.list(
        select(account).where(account > after, col(Invoice.period) == period).order_by(account).limit(most)
    )


async def list_invoices_of(tx: Tx, account_ids: Sequence[str], period: str) -> list[Invoice]:
    """List a period's invoices of these accounts, with or without their numbers."""
    return await tx.list(select(Invoice).where(col(Invoice.account_id).in_(account_ids), col(Invoice.period) == period))


async def list_lines_of(tx: Tx, account_ids: Sequence[str], invoice_ids: Sequence[str]) -> list[InvoiceLine]:
    """List the lines of these invoices, which are of these accounts, in their order on each."""
    statement = select(InvoiceLine).where(
        col(InvoiceLine.account_id).in_(account_ids), col(InvoiceLine.invoice_id).in_(invoice_ids)
    )
    return await tx.list(statement.order_by(col(InvoiceLine.invoice_id), col(InvoiceLine.position)))


async def list_billings(tx: Tx, account_ids: Sequence[str]) -> list[BillingAccount]:
    """List how far these accounts are billed, as far as they are registered."""
    return await tx.list(select(BillingAccount).where(col(BillingAccount.account_id).in_(account_ids)))


def _billing(account_id: str) -> Select[BillingAccount]:
    return select(BillingAccount).where(col(BillingAccount.account_id) == account_id)


def _invoices(account_id: str) -> Select[Invoice]:
    return select(Invoice).where(col(Invoice.account_id) == account_id)


def _issued(account_id: str) -> Select[Invoice]:
    return _invoices(account_id).where(col(Invoice.number).is_not(None))
