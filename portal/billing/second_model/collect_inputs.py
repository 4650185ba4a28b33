"""Collect what an invoice of the second model depends on: units of each stretch, what came late, what was left over.

An event belongs to the stretch whose days its time lies in. Of a period that was invoiced the stretches are read from
its invoice, not derived again; the adjustments since then say how many of each stretch's units are billed.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from msgspec.structs import replace

from portal import plans, usage
from portal.billing import first_model, store
from portal.billing.collect_inputs import PlanHistory
from portal.billing.inputs import inputs_from
from portal.billing.rate import LineKind
from portal.billing.second_model.carry_over import OUT
from portal.billing.second_model.inputs import (
    CarriedOver,
    InvoiceInputs,
    LateUsage,
    StretchUsage,
    invoice_inputs,
    usage_by_stretch,
)
from portal.core.database import Tx
from portal.core.money import Money
from portal.plans import AccountPeriod, AccountPeriods, PeriodHistory
from portal.usage import ClosedPeriod

LoadHistory = Callable[[Tx, str, str], Awaitable[PeriodHistory]]
"""Load what an account (its id) held in a period (its name)."""


async def collect_inputs(
    tx: Tx,
    account_id: str,
    history: PeriodHistory,
    following: AccountPeriod,
    units: int,
    closed: Sequence[ClosedPeriod],
    load_history: LoadHistory,
) -> InvoiceInputs:
    """Return the inputs of a period in which `units` were used, for its invoice and for its draft.

    `closed` are the periods before it, as far as they are billed.
    """
    spans = [stretch.spans for stretch in plans.stretches_of(history)]
    used = await _units_by_stretch(tx, account_id, spans, units)
    late = [
        adjusted
        for period in closed
        if period.used != period.billed
        for adjusted in await _late_usage(tx, account_id, period, load_history)
    ]
    carried, currency = await _carried_over(tx, account_id)
    return invoice_inputs(history, following, used, late, carried, currency)


async def _units_by_stretch(
    tx: Tx, account_id: str, stretches: Sequence[Sequence[tuple[datetime, datetime]]], units: int
) -> list[int]:
    """Return the units of each stretch; the last one has what no other has, so they are always all of the period."""
    found, left = [], units
    for spans in stretches[:-1]:
        counted = sum([await usage.billable_units(tx, account_id, start, end) for start, end in spans])
        found.append(min(left, counted))
        left -= found[-1]
    return [*found, left]


async def _late_usage(tx: Tx, account_id: str, closed: ClosedPeriod, load_history: LoadHistory) -> list[LateUsage]:
    """Return the stretches of a closed period whose units are not those that are billed."""
    invoice = await store.find_invoice_of(tx, account_id, closed.period)
    inputs = None if invoice is None else inputs_from(invoice.inputs)
    if isinstance(inputs, first_model.InvoiceInputs):
        return await _late_usage_of_first_model(tx, account_id, closed, inputs)
    if inputs is None:
        history = await load_history(tx, account_id, closed.period)
        stretches = usage_by_stretch(history, [0] * len(plans.stretches_of(history)))
    else:
        stretches = inputs.usage
    adjusted = await store.adjusted_units(tx, account_id, closed.period)
    now = await _units_by_stretch(tx, account_id, [stretch.spans for stretch in stretches], closed.used)
    late = [
        LateUsage(replace(stretch, units=used), stretch.units + adjusted.get((stretch.plan_id, stretch.version), 0))
        for stretch, used in zip(stretches, now, strict=True)
    ]
    return [stretch for stretch in late if stretch.metered.units != stretch.billed]


async def _late_usage_of_first_model(
    tx: Tx, account_id: str, closed: ClosedPeriod, inputs: first_model.InvoiceInputs
) -> list[LateUsage]:
    """Return the same of a period of the first model, by the plan that a day had by it, at that model's prices.

    What it adjusted itself stands at the plan that the month ended on, and is put where it belongs now.
    """
    period = inputs.billed_period
    history = await PlanHistory.load(tx, account_id, AccountPeriods((period,)))
    now = {metered.plan_id: metered.units for metered in await history.usage_by_plan(tx, period, closed.used)}
    adjusted: dict[str, int] = {}
    for (plan_id, _), units in (await store.adjusted_units(tx, account_id, closed.period)).items():
        adjusted[plan_id] = adjusted.get(plan_id, 0) + units
    late = []
    for metered in inputs.usage:
        stretch = StretchUsage(
            period=metered.period,
            plan_id=metered.plan_id,
            plan=metered.plan,
            tariff=metered.tariff,
            units=now.get(metered.plan_id, 0),
            days=metered.days,
            of_days=metered.of_days,
            version=1,
            time_zone=inputs.time_zone,
            spans=[],
        )
        late.append(LateUsage(stretch, metered.units + adjusted.get(metered.plan_id, 0), model=1))
    return [stretch for stretch in late if stretch.metered.units != stretch.billed]


async def _carried_over(tx: Tx, account_id: str) -> tuple[list[CarriedOver], str | None]:
    """Return what the account's newest invoice left over, in minor units again, and its currency if it left any."""
    invoice = await store.find_newest_invoice(tx, account_id)
    if invoice is None:
        return [], None
    carried = [
        CarriedOver(line.period, line.plan_id, line.tax_percent, Money(-line.amount, invoice.currency).rounded().amount)
        for line in await store.list_lines(tx, account_id, [invoice.id])
        if line.kind == LineKind.ADJUSTMENT and line.code == OUT
    ]
    return carried, invoice.currency if carried else None
