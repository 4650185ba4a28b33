"""Collect what a period's invoice depends on: the account's plans, what it was charged, what it used, what came late.

A PlanHistory is which plan an account was on, day by day, as far as an invoice needs to look back.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Self

from msgspec.structs import replace

from portal import plans, usage
from portal.billing import store
from portal.billing.first_model import InvoiceInputs, LateUsage, PeriodUsage, inputs_from
from portal.billing.first_model.fees import (
    DAY,
    BillingDays,
    Fee,
    PlanChange,
    PlanOnDay,
    chargeable_days,
    charged_days,
    days_of,
    fees_due,
    group_consecutive_days,
    plans_by_day,
)
from portal.billing.models import InvoiceLine
from portal.billing.parse_tariff import parse_tariff_or_none
from portal.core.database import Tx
from portal.plans import AccountPeriod, AccountPeriods, Plan
from portal.usage import ClosedPeriod


async def collect_inputs(
    tx: Tx,
    account_id: str,
    periods: AccountPeriods,
    period: AccountPeriod,
    units: int,
    closed: Sequence[ClosedPeriod],
) -> InvoiceInputs:
    """Return the inputs of one of the account's periods, in which `units` were used.

    `closed` are the periods before it, as far as they are billed.
    """
    history = await PlanHistory.load(tx, account_id, periods)
    is_month = period == plans.month_period(period.name, period.time_zone)
    by_plan = await history.usage_by_plan(tx, period, units)
    return InvoiceInputs(
        period=period.name,
        time_zone=period.time_zone,
        currency=history.plans[by_plan[-1].plan_id].currency,
        fees=[*await _fees(tx, history, period), *await _fees(tx, history, periods.after(period))],
        usage=by_plan,
        late=[await _late_usage(tx, history, periods, late) for late in closed if late.used != late.billed],
        start=None if is_month else period.start,
        end=None if is_month else period.end,
    )


@dataclass(frozen=True, slots=True)
class PlanHistory:
    """Days are those of the account's periods.

    `changes` are in their order; the first one is the account's opening.
    """

    account_id: str
    changes: list[PlanChange]
    plans: dict[str, Plan]

    @classmethod
    async def load(cls, tx: Tx, account_id: str, periods: AccountPeriods) -> Self:
        """Load the plans that an account has held, by the days of its periods. Without a choice: the default."""
        chosen: dict[tuple[str, int], Plan] = {}
        changes = []
        for held in await plans.load_plans_held(tx, account_id):
            if held.terms.key not in chosen:
                chosen[held.terms.key] = await plans.get_plan_at(tx, *held.terms.key)
            on_day, waited = _plan_on_day(chosen[held.terms.key]), held.kind is None
            changes.append(PlanChange(periods.day_at(held.at), on_day, is_at_midnight=waited))
        by_id = {plan_id: plan for (plan_id, _), plan in chosen.items()}
        return cls(account_id, changes, by_id)

    def plans_by_day(self, days: BillingDays) -> dict[date, PlanOnDay]:
        """Return the plan of each day. An account always has one: days before its first plan belong to that."""
        return plans_by_day(self.changes, days) or {days.last: self.changes[0].plan}

    async def usage_by_plan(self, tx: Tx, period: AccountPeriod, units: int) -> list[PeriodUsage]:
        """Return a period's units by the plans it had, in their order; the last one has what no other has."""
        days = days_of(period)
        by_day = self.plans_by_day(days)
        found, left = [], units
        *earlier, last = _in_order(by_day)
        for plan in earlier:
            used = min(left, await self._units_on(tx, period, plan, by_day))
            found.append(self._usage_on(plan, by_day, days, used))
            left -= used
        return [*found, self._usage_on(last, by_day, days, left)]

    def _usage_on(self, priced: PlanOnDay, by_day: dict[date, PlanOnDay], days: BillingDays, units: int) -> PeriodUsage:
        plan = self.plans[priced.plan_id]
        count = [*by_day.values()].count(priced)
        return PeriodUsage(days.period, plan.id, plan.name, plan.tariff, units, count, days.count)

    async def _units_on(self, tx: Tx, period: AccountPeriod, plan: PlanOnDay, by_day: dict[date, PlanOnDay]) -> int:
        """Return what was used on a plan's days, asked a stretch of days at a time."""
        units = 0
        for stretch in group_consecutive_days(by_day):
            if stretch.plan == plan:
                start, end = _start_of(period, stretch.first), _start_of(period, stretch.last + DAY)
                units += await usage.billable_units(tx, self.account_id, start, end)
        return units


def _start_of(period: AccountPeriod, day: date) -> datetime:
    return period.start_of(bisect_left(period.days, day))


def _in_order(by_day: dict[date, PlanOnDay]) -> list[PlanOnDay]:
    """Return each plan once, in the order of their last days."""
    latest_first = dict.fromkeys(by_day[day] for day in sorted(by_day, reverse=True))
    return [*reversed(latest_first)]


def _plan_on_day(plan: Plan) -> PlanOnDay:
    tariff = parse_tariff_or_none(plan.tariff)
    if tariff is None:
        return PlanOnDay(plan.id, plan.name, plan.price)
    return PlanOnDay(plan.id, plan.name, plan.price, tariff.tax_percent, bool(tariff.charges))


async def _fees(tx: Tx, history: PlanHistory, period: AccountPeriod) -> list[Fee]:
    days = days_of(period)
    lines = await store.list_fees(tx, history.account_id, days.period)
    charged = charged_days([_fee_of(line, days) for line in lines], days)
    return fees_due(chargeable_days(history.plans_by_day(days)), charged, days)


def _fee_of(line: InvoiceLine, days: BillingDays) -> Fee:
    match line.plan_id, line.price, line.first_day, line.last_day:
        case str(plan_id), price, first, last if price is not None and first is not None and last is not None:
            charged = line.code, abs(price), line.tax_percent
            return Fee(line.period, plan_id, *charged, first, last, days.count, is_credit=price < 0)
    raise ValueError(f"line {line.position} of {line.invoice_id} is no fee")


async def _late_usage(tx: Tx, history: PlanHistory, periods: AccountPeriods, closed: ClosedPeriod) -> LateUsage:
    """Return what came late for a closed period, on the plan that the period ended on, as its invoice has it."""
    invoice = await store.find_invoice_of(tx, history.account_id, closed.period)
    if invoice is None:
        metered = (await history.usage_by_plan(tx, periods.named(closed.period), 0))[-1]
        return LateUsage(replace(metered, units=closed.used), closed.billed)
    *earlier, last = inputs_from(invoice.inputs).usage
    elsewhere = sum(metered.units for metered in earlier)
    return LateUsage(replace(last, units=closed.used - elsewhere), closed.billed - elsewhere)
