"""Number invoices: issue those that are written, many in one transaction, without a gap in the numbers of a year.

    one numberer at a time -> the oldest without a number -> the audit chains of their accounts, as far as nobody
    writes in them -> the year's numbers -> number, time of issue and audit rows of all -> commit

Numbers follow the time at which they are given, and that is what the invoice shows as its date. A crash gives the
numbers back. Nobody sees an invoice before; finalizing waits for none of this.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from portal import audit
from portal.billing import store
from portal.billing.store import Unnumbered
from portal.core.actor import SYSTEM, Actor
from portal.core.database import Tx
from portal.core.ids import AccountId

FINALIZE = audit.Action("invoice.finalize", "finalized the invoice")
MAX_NUMBERED = 500
"""Invoices of a transaction: each holds a lock of its account's audit chain, of which PostgreSQL has some thousands."""
WAITING_SECONDS = 2.0
"""For the year's numbers, which a process of an older version may hold."""


async def number_invoices(tx: Tx, zone: ZoneInfo, most: int = MAX_NUMBERED) -> int:
    """Give the next numbers of the year, which is that of `zone`, to invoices without one; return to how many.

    The oldest come first, except those of accounts whose audit log somebody writes in at the moment. None is numbered
    while another process gives numbers.
    """
    await tx.set_lock_timeout(WAITING_SECONDS)
    locked_at = await store.lock_numbering(tx)
    if locked_at is None:
        return 0
    waiting = await store.list_unnumbered(tx, most)
    chains = await audit.try_lock_chains(tx, {invoice.account_id for invoice in waiting})
    invoices = [invoice for invoice in waiting if invoice.account_id in chains]
    if invoices:
        await _number(tx, invoices, chains, year_of_issue(locked_at, zone))
    return len(invoices)


def year_of_issue(instant: datetime, zone: ZoneInfo) -> int:
    """Return the year whose numbers are given at an instant: that of the provider's calendar."""
    return instant.astimezone(zone).year


async def _number(
    tx: Tx, invoices: Sequence[Unnumbered], chains: dict[str, audit.AuditEvent | None], year: int
) -> None:
    first, now = await store.take_numbers(tx, year, len(invoices))
    ids = [invoice.id for invoice in invoices]
    numbers = [f"{year}-{first + place:06}" for place in range(len(invoices))]
    issued_at = [now + timedelta(microseconds=place) for place in range(len(invoices))]  # in the order of numbers
    await store.number_invoices(tx, ids, numbers, issued_at)
    last, rows = {**chains}, []
    for invoice, number in zip(invoices, numbers, strict=True):
        actor = Actor("system", SYSTEM.id, AccountId(invoice.account_id))
        details = {"number": number, "total": str(invoice.total)}
        row = audit.build_event(tx, last[invoice.account_id], actor, FINALIZE, invoice.id, **details)
        last[invoice.account_id] = row
        rows.append(row)
    await tx.insert_all(rows)
