"""Which plan an account was on, day by day, as far as an invoice needs to look back."""

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Self
from zoneinfo import ZoneInfo

from portal import plans, usage
from portal.accounts import get_account
from portal.billing.fees import (
    DAY,
    BillingDays,
    PlanChange,
    PlanOnDay,
    day_of,
    days_of,
    group_consecutive_days,
    rates_on,
)
from portal.billing.invoice_lines import PeriodUsage
from portal.billing.parse_tariff import parse_tariff_or_none
from portal.core.database import Tx
from portal.core.ids import AccountId
from portal.plans import Period, Plan


@dataclass(frozen=True, slots=True)
class PlanHistory:
    """Days are those of the account's time zone. `changes` are in their order, the first one before what is asked."""

    account_id: str
    time_zone: str
    changes: list[PlanChange]
    plans: dict[str, Plan]

    @classmethod
    async def of(cls, tx: Tx, account_id: str, since: datetime) -> Self:
        """For days from `since` on. Without a choice the account was on the default plan."""
        account = await get_account(tx, AccountId(account_id))
        default, chosen = await plans.get_default_plan(tx), await plans.list_choices(tx, account_id, since)
        begun = [(account.created_at, default.id), *((one.chosen_at, one.plan_id) for one in chosen)]
        current = await plans.find_subscription(tx, account_id)
        if current is not None and current.plan_id != begun[-1][1]:
            begun.append((current.started_at, current.plan_id))  # by a process of a version that kept no choices
        known = {plan_id: await plans.get_plan(tx, plan_id) for plan_id in {plan_id for _, plan_id in begun}}
        changes = [PlanChange(day_of(at, account.time_zone), _rate_of(known[plan_id])) for at, plan_id in begun]
        return cls(account_id, account.time_zone, changes, known)

    def days(self, period: Period) -> BillingDays:
        return days_of(period, self.time_zone)

    def rates(self, days: BillingDays) -> dict[date, PlanOnDay]:
        """An account always has a plan: days before its first one belong to that."""
        rates = rates_on(self.changes, days)
        return rates or {days.last: self.changes[0].rate}

    async def metered(self, tx: Tx, period: Period, units: int) -> list[PeriodUsage]:
        """The units of a period by the plans that it had, in their order; the last one has what no other has."""
        days = self.days(period)
        rates = self.rates(days)
        found, left = [], units
        *others, last = _in_order(rates)
        for rate in others:
            own = min(left, await self._units_on(tx, rate, rates))
            found.append(self._metered(rate, rates, days, own))
            left -= own
        return [*found, self._metered(last, rates, days, left)]

    def _metered(self, rate: PlanOnDay, rates: dict[date, PlanOnDay], days: BillingDays, units: int) -> PeriodUsage:
        plan = self.plans[rate.plan_id]
        count = [*rates.values()].count(rate)
        return PeriodUsage(days.period, plan.id, plan.name, plan.tariff, units, count, days.count)

    async def _units_on(self, tx: Tx, rate: PlanOnDay, rates: dict[date, PlanOnDay]) -> int:
        """Of a plan's days, a stretch at a time."""
        units = 0
        for one, first, last in group_consecutive_days(rates):
            if one == rate:
                stretch = self._midnight(first), self._midnight(last + DAY)
                units += await usage.billable_units(tx, self.account_id, *stretch)
        return units

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), ZoneInfo(self.time_zone))


def _in_order(rates: dict[date, PlanOnDay]) -> list[PlanOnDay]:
    """Each plan once, by its last day."""
    latest_first = dict.fromkeys(rates[day] for day in sorted(rates, reverse=True))
    return [*reversed(latest_first)]


def _rate_of(plan: Plan) -> PlanOnDay:
    tariff = parse_tariff_or_none(plan.tariff)
    if tariff is None:
        return PlanOnDay(plan.id, plan.name, plan.price)
    return PlanOnDay(plan.id, plan.name, plan.price, tariff.tax_percent, bool(tariff.charges))
