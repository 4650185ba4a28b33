"""The draft of an account's next invoice: what it would say if its period ended now. Computed, never stored."""

from dataclasses import dataclass

from portal import plans, usage
from portal.accounts import get_account
from portal.billing import store
from portal.billing.collect_inputs import collect_inputs
from portal.billing.inputs import build_lines
from portal.billing.invoice_lines import rows_of, totals
from portal.billing.models import InvoiceLine
from portal.billing.rate import Totals
from portal.core.database import Tx
from portal.core.ids import AccountId
from portal.plans import AccountPeriod


@dataclass(frozen=True, slots=True)
class Draft:
    """What is known now of the invoice of a period that is not billed yet."""

    period: AccountPeriod
    currency: str
    lines: list[InvoiceLine]
    totals: Totals


async def draft_invoice(tx: Tx, account_id: str) -> Draft:
    """Draft the invoice of the first unbilled period: the current one, except for a while after a month's end."""
    account = await get_account(tx, AccountId(account_id))
    periods = await plans.load_periods(tx, account)
    billing = await store.find_billing(tx, account_id)
    period = periods.at(account.created_at) if billing is None else periods.named(billing.next_period)
    units = await usage.used_in_period(tx, account_id, period.name)
    inputs = await collect_inputs(
        tx, account_id, periods, period, units, await usage.list_closed_periods(tx, account_id)
    )
    drafts = build_lines(inputs)
    return Draft(period, inputs.currency, rows_of(drafts, account_id, ""), totals(inputs.currency, drafts))
