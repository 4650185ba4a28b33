"""Finalize the invoice of an account's next period, once the period is over. What is written then never changes.

    lock the account's billing -> close the period (what comes afterwards is late) -> collect inputs, build lines
    -> on to the next period -> invoice with the next number, all in one transaction

A crash anywhere leaves nothing, and the next attempt does the same again. Of several at once one has the account and
the others leave it; those with different accounts wait for the year's number for the few statements that are left.
"""

from dataclasses import dataclass
from datetime import timedelta

from portal import audit, plans, usage
from portal.accounts import get_account
from portal.billing import store
from portal.billing.collect_inputs import collect_inputs
from portal.billing.invoice_lines import (
    InvoiceInputs,
    InvoiceLineDraft,
    build_lines,
    is_worth_an_invoice,
    rows_of,
    totals,
)
from portal.billing.models import BillingAccount, Invoice
from portal.core.actor import SYSTEM, Actor
from portal.core.database import Tx
from portal.core.ids import AccountId, new_id
from portal.plans import Period

FINALIZE = audit.Action("invoice.finalize", "finalized the invoice")

STATEMENT_SECONDS, WAITING_SECONDS = 10.0, 2.0
"""Whoever holds something of an account delays this account, and nobody else's invoice."""


@dataclass(frozen=True, slots=True)
class FinalizedInvoice:
    """The period is billed; `invoice` None: there was nothing in it to bill."""

    period: str
    invoice: Invoice | None


async def finalize_invoice(tx: Tx, account_id: str, grace: timedelta) -> FinalizedInvoice | None:
    """Finalize the invoice of an account's next period.

    Return None where that period is not over for as long as `grace`, or another process bills the account.
    """
    await tx.limit_statements(STATEMENT_SECONDS)
    await tx.limit_waiting(WAITING_SECONDS)
    billing = await store.lock_billing(tx, account_id)
    if billing is None:
        return None
    account = await get_account(tx, AccountId(account_id))
    period = plans.period_named(billing.next_period, account.time_zone)
    if max(billing.next_at, period.end) + grace > tx.now:
        return None
    closed = await usage.mark_late_usage_billed(tx, account_id)
    units = await usage.close_period(tx, account_id, period.name)
    if units is None:
        raise RuntimeError(f"{account_id} {period.name} is closed and not billed")
    inputs = await collect_inputs(tx, account_id, period, units, closed)
    drafts = build_lines(inputs)
    await _advance(tx, billing, plans.periods_around(period.end, account.time_zone)[0])
    if not is_worth_an_invoice(inputs, drafts):
        return FinalizedInvoice(period.name, None)
    return FinalizedInvoice(period.name, await _insert(tx, account_id, period, inputs, drafts))


async def _advance(tx: Tx, billing: BillingAccount, following: Period) -> None:
    billing.next_period, billing.next_at = following.name, following.end
    await tx.flush()


async def _insert(
    tx: Tx, account_id: str, period: Period, inputs: InvoiceInputs, drafts: list[InvoiceLineDraft]
) -> Invoice:
    """Write the invoice. Its number is the last thing that is waited for, since all accounts share it."""
    await audit.lock_chain(tx, account_id)
    number, now = await store.take_number(tx, tx.now.year)
    sums = totals(inputs, drafts)
    invoice = Invoice(
        id=new_id("inv"),
        account_id=account_id,
        number=f"{tx.now.year}-{number:06}",
        period=period.name,
        period_start=period.start,
        period_end=period.end,
        currency=inputs.currency,
        subtotal=sums.subtotal,
        tax=sums.tax,
        total=sums.total,
        inputs=inputs.to_json(),
        digest=inputs.digest,
        finalized_at=now,
    )
    await store.insert_invoice(tx, invoice, rows_of(drafts, account_id, invoice.id))
    actor = Actor("system", SYSTEM.id, AccountId(account_id))
    await audit.record(tx, actor, FINALIZE, invoice.id, number=invoice.number, total=str(sums.total))
    return invoice
