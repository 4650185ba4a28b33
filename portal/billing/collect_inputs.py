"""Gather what a period's invoice depends on: the account's plans, what it was charged, what it used, what came late."""

from collections.abc import Sequence

from msgspec.structs import replace

from portal import plans
from portal.billing import store
from portal.billing.fees import BillingDays, Fee, chargeable_days, fees_due, invoiced
from portal.billing.invoice_lines import InvoiceInputs, LateUsage, PeriodUsage, inputs_from
from portal.billing.models import InvoiceLine
from portal.billing.plan_history import PlanHistory
from portal.core.database import Tx
from portal.plans import Period
from portal.usage import ClosedPeriod


async def collect_inputs(
    tx: Tx, account_id: str, period: Period, units: int, closed: Sequence[ClosedPeriod]
) -> InvoiceInputs:
    """`units` were used in the period; `closed` are the periods before it, as far as they are billed."""
    pending = [one for one in closed if one.used != one.billed]
    past = await PlanHistory.of(tx, account_id, period.start)
    following = plans.periods_around(period.end, past.time_zone)[0]
    metered = await past.metered(tx, period, units)
    return InvoiceInputs(
        period=period.name,
        time_zone=past.time_zone,
        currency=past.plans[metered[-1].plan_id].currency,
        fees=[*await _fees(tx, past, past.days(period)), *await _fees(tx, past, past.days(following))],
        usage=metered,
        late=[await _late(tx, past, one) for one in pending],
    )


async def _fees(tx: Tx, past: PlanHistory, days: BillingDays) -> list[Fee]:
    charged = [_fee_of(line, days) for line in await store.list_fees(tx, past.account_id, days.period)]
    return fees_due(chargeable_days(past.rates(days)), invoiced(charged, days), days)


def _fee_of(line: InvoiceLine, days: BillingDays) -> Fee:
    match line.plan_id, line.price, line.first_day, line.last_day:
        case str(plan_id), price, first, last if price is not None and first is not None and last is not None:
            charged = line.code, abs(price), line.tax_percent
            return Fee(line.period, plan_id, *charged, first, last, days.count, is_credit=price < 0)
    raise ValueError(f"line {line.position} of {line.invoice_id} is no fee")


async def _late(tx: Tx, past: PlanHistory, one: ClosedPeriod) -> LateUsage:
    """On the plan that its period ended on, as its invoice has it."""
    invoice = await store.find_invoice_of(tx, past.account_id, one.period)
    if invoice is None:
        metered = (await _ending(tx, past, one))[-1]
        return LateUsage(replace(metered, units=one.used), one.billed)
    *others, last = inputs_from(invoice.inputs).usage
    elsewhere = sum(metered.units for metered in others)
    return LateUsage(replace(last, units=one.used - elsewhere), one.billed - elsewhere)


async def _ending(tx: Tx, past: PlanHistory, one: ClosedPeriod) -> list[PeriodUsage]:
    period = plans.period_named(one.period, past.time_zone)
    then = await PlanHistory.of(tx, past.account_id, period.start)
    return await then.metered(tx, period, 0)
