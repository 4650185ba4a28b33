"""Gather what a period's invoice depends on: the account's plans, what it was charged, what it used, what came late."""

from collections.abc import Sequence

from msgspec.structs import replace

from portal import plans
from portal.billing import store
from portal.billing.fees import Days, Fee, fees_due, invoiced, owed
from portal.billing.invoice_lines import Inputs, Late, Metered, inputs_from
from portal.billing.models import InvoiceLine
from portal.billing.plan_history import Past
from portal.core.database import Tx
from portal.plans import Period
from portal.usage import ClosedPeriod


async def gather(tx: Tx, account_id: str, period: Period, units: int, closed: Sequence[ClosedPeriod]) -> Inputs:
    """`units` were used in the period; `closed` are the periods before it, as far as they are billed."""
    pending = [one for one in closed if one.used != one.billed]
    past = await Past.of(tx, account_id, period.start)
    following = plans.periods_around(period.end, past.time_zone)[0]
    metered = await past.metered(tx, period, units)
    return Inputs(
        period=period.name,
        time_zone=past.time_zone,
        currency=past.plans[metered[-1].plan_id].currency,
        fees=[*await _fees(tx, past, past.days(period)), *await _fees(tx, past, past.days(following))],
        usage=metered,
        late=[await _late(tx, past, one) for one in pending],
    )


async def _fees(tx: Tx, past: Past, days: Days) -> list[Fee]:
    charged = [_fee_of(line, days) for line in await store.list_fees(tx, past.account_id, days.period)]
    return fees_due(owed(past.rates(days)), invoiced(charged, days), days)


def _fee_of(line: InvoiceLine, days: Days) -> Fee:
    match line.plan_id, line.price, line.first_day, line.last_day:
        case str(plan_id), price, first, last if price is not None and first is not None and last is not None:
            charged = line.code, abs(price), line.tax_percent
            return Fee(line.period, plan_id, *charged, first, last, days.count, is_credit=price < 0)
    raise ValueError(f"line {line.position} of {line.invoice_id} is no fee")


async def _late(tx: Tx, past: Past, one: ClosedPeriod) -> Late:
    """On the plan that its period ended on, as its invoice has it."""
    invoice = await store.find_invoice_of(tx, past.account_id, one.period)
    if invoice is None:
        metered = (await _ending(tx, past, one))[-1]
        return Late(replace(metered, units=one.used), one.billed)
    *others, last = inputs_from(invoice.inputs).usage
    elsewhere = sum(metered.units for metered in others)
    return Late(replace(last, units=one.used - elsewhere), one.billed - elsewhere)


async def _ending(tx: Tx, past: Past, one: ClosedPeriod) -> list[Metered]:
    period = plans.period_named(one.period, past.time_zone)
    then = await Past.of(tx, past.account_id, period.start)
    return await then.metered(tx, period, 0)
