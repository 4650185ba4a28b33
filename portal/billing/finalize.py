"""Finalize the invoices of accounts' next periods, once these are over. What is written then never changes.

    each account: lock its billing -> close the period (what comes afterwards is late) -> collect inputs, build lines
    -> on to the next period
    then: write all invoices, without numbers, in one transaction

A crash anywhere leaves nothing, and the next attempt does the same again. Of several at once one has an account and
the others leave it; accounts share no lock. `number_invoices` issues what is written here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from portal import plans, usage
from portal.accounts import lock_accounts
from portal.billing import store
from portal.billing.collect_inputs import collect_inputs
from portal.billing.inputs import InvoiceInputs, build_lines, is_worth_an_invoice
from portal.billing.invoice_lines import InvoiceLineDraft, rows_of, totals
from portal.billing.models import BillingAccount, Invoice, InvoiceLine
from portal.core.database import Tx
from portal.core.ids import new_id
from portal.plans import AccountPeriod, AccountPeriods

STATEMENT_SECONDS, WAITING_SECONDS, BATCH_WAITING_SECONDS = 10.0, 2.0, 0.2
"""Whoever holds something of an account delays this account, and nobody else's invoice: a batch gives up sooner."""
MAX_REGISTERED = 2_000


@dataclass(frozen=True, slots=True)
class FinalizedInvoice:
    """The period of the account is billed; `invoice` None: there was nothing in it to bill. It has no number yet."""

    account_id: str
    period: str
    invoice: Invoice | None


@dataclass(frozen=True, slots=True)
class _Computed:
    """What there is to write for an account whose period is closed."""

    account_id: str
    period: AccountPeriod
    inputs: InvoiceInputs
    drafts: list[InvoiceLineDraft]
    following: AccountPeriod


async def register_accounts(tx: Tx, after: str = "", most: int = MAX_REGISTERED) -> str | None:
    """Register accounts that billing does not know yet, from the period in which they were opened, and store theirs.

    Looks at the next `most` accounts by id and returns the last of them, None at the end: no statement reads them all.
    """
    missing, last = await store.list_unregistered(tx, after, most)
    accounts = await lock_accounts(tx, missing)
    periods = await plans.store_periods(tx, accounts)
    await store.insert_billing(tx, {account.id: periods[account.id].at(account.created_at) for account in accounts})
    return last


async def finalize_invoice(tx: Tx, account_id: str, grace: timedelta) -> FinalizedInvoice | None:
    """Finalize the invoice of an account's next period.

    Return None where that period is not over for as long as `grace`, or another process bills the account.
    """
    return next(iter(await finalize_invoices(tx, [account_id], grace)), None)


async def finalize_invoices(tx: Tx, account_ids: Sequence[str], grace: timedelta) -> list[FinalizedInvoice]:
    """Finalize the invoices of these accounts' next periods, all or none.

    Leaves out accounts whose period is not over for as long as `grace`, or that another process bills.
    """
    await tx.set_statement_timeout(STATEMENT_SECONDS)
    await tx.set_lock_timeout(WAITING_SECONDS if len(account_ids) == 1 else BATCH_WAITING_SECONDS)
    due = await store.lock_due(tx, account_ids, tx.now - grace)
    accounts = await lock_accounts(tx, [billing.account_id for billing in due])
    periods = await plans.store_periods(tx, accounts)
    computed = [await _compute(tx, billing, periods[billing.account_id], grace) for billing in due]
    over = [invoice for invoice in computed if invoice is not None]
    for billing, done in zip(due, computed, strict=True):
        if done is not None:
            billing.next_period, billing.next_at = done.following.name, done.following.end
            billing.billed_at, billing.failing_since = tx.now, None
    await tx.flush()
    billed = [invoice for invoice in over if is_worth_an_invoice(invoice.inputs, invoice.drafts)]
    invoices = {invoice.account_id: invoice for invoice in await _insert(tx, billed)}
    return [FinalizedInvoice(done.account_id, done.period.name, invoices.get(done.account_id)) for done in over]


async def _compute(tx: Tx, billing: BillingAccount, periods: AccountPeriods, grace: timedelta) -> _Computed | None:
    """Close the period of an account whose billing is locked, and compute its invoice."""
    account_id, period = billing.account_id, periods.named(billing.next_period)
    if period.end + grace > tx.now:
        return None
    closed = await usage.mark_late_usage_billed(tx, account_id)
    units = await usage.close_period(tx, account_id, period.name)
    if units is None:
        raise RuntimeError(f"{account_id} {period.name} is closed and not billed")
    inputs = await collect_inputs(tx, account_id, periods, period, units, closed)
    return _Computed(account_id, period, inputs, build_lines(inputs), periods.after(period))


async def _insert(tx: Tx, billed: Sequence[_Computed]) -> list[Invoice]:
    invoices = [_invoice(computed, tx.now) for computed in billed]
    rows: list[Invoice | InvoiceLine] = []
    for computed, invoice in zip(billed, invoices, strict=True):
        rows += [invoice, *rows_of(computed.drafts, computed.account_id, invoice.id)]
    await tx.insert_all(rows)
    return invoices


def _invoice(computed: _Computed, finalized_at: datetime) -> Invoice:
    sums = totals(computed.inputs.currency, computed.drafts)
    return Invoice(
        id=new_id("inv"),
        account_id=computed.account_id,
        period=computed.period.name,
        period_start=computed.period.start,
        period_end=computed.period.end,
        currency=computed.inputs.currency,
        subtotal=sums.subtotal,
        tax=sums.tax,
        total=sums.total,
        inputs=computed.inputs.to_json(),
        digest=computed.inputs.digest,
        finalized_at=finalized_at,
    )
