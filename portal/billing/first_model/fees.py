"""Which plan each day belongs to, which days are to be charged, and which to be given back. Pure.

A day belongs to the dearest plan that the account was on within it, in its own time zone, so that changing back and
forth saves nothing. The fee of a period is charged ahead, on the invoice of the period before; where the plan changed
since, the days are given back and the new plan's charged.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from portal.plans import AccountPeriod

DAY = timedelta(days=1)


class PlanOnDay(NamedTuple):
    """A plan at its price for a whole period; `is_metered`: its usage costs something, too."""

    plan_id: str
    name: str
    price: Decimal
    tax_percent: Decimal | None = None
    is_metered: bool = False

    @property
    def rank(self) -> tuple[Decimal, bool]:
        return self.price, self.is_metered


class PlanChange(NamedTuple):
    """The account chose the plan within this day; `is_at_midnight`: it is on no other plan before it on that day."""

    day: date
    plan: PlanOnDay
    is_at_midnight: bool = False


class Stretch(NamedTuple):
    """Days from `first` to `last`, both counted, on one plan."""

    plan: PlanOnDay
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Fee:
    """A plan's price for the days `first` to `last` of a period of `of_days`, both counted; `is_credit`: given back."""

    period: str
    plan_id: str
    plan: str
    price: Decimal
    tax_percent: Decimal | None
    first: date
    last: date
    of_days: int
    is_credit: bool

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


@dataclass(frozen=True, slots=True)
class BillingDays:
    """The days `first` to `last`, both in the period of that name."""

    period: str
    first: date
    last: date

    @property
    def count(self) -> int:
        return (self.last - self.first).days + 1

    def each(self) -> Iterable[date]:
        return (self.first + DAY * number for number in range(self.count))


def days_of(period: AccountPeriod) -> BillingDays:
    """Return the days of a billing period in its time zone."""
    return BillingDays(period.name, period.days[0], period.days[-1])


def plan_on(changes: Sequence[PlanChange], day: date) -> PlanOnDay | None:
    """Return the day's plan, the later one of two that cost the same; None before the first one.

    `changes` are in their order.
    """
    before = [change.plan for change in changes if change.day < day][-1:]
    within = [change for change in changes if change.day == day]
    if within and within[0].is_at_midnight:
        before = []
    held = before + [change.plan for change in within]
    return max(reversed(held), key=lambda plan: plan.rank, default=None)


def plans_by_day(changes: Sequence[PlanChange], days: BillingDays) -> dict[date, PlanOnDay]:
    """Return the plan of each day that has one."""
    by_day = {day: plan_on(changes, day) for day in days.each()}
    return {day: plan for day, plan in by_day.items() if plan is not None}


def chargeable_days(by_day: Mapping[date, PlanOnDay]) -> dict[date, PlanOnDay]:
    """Return the days whose plan costs something."""
    return {day: plan for day, plan in by_day.items() if plan.price}


def charged_days(fees: Iterable[Fee], days: BillingDays) -> dict[date, PlanOnDay]:
    """Return the plan that each day has been charged for and not given back.

    `fees` are in the order of their invoices' lines.
    """
    charged: dict[date, PlanOnDay] = {}
    for fee in fees:
        for day in BillingDays(fee.period, max(fee.first, days.first), min(fee.last, days.last)).each():
            if fee.is_credit:
                charged.pop(day, None)
            else:
                charged[day] = PlanOnDay(fee.plan_id, fee.plan, fee.price, fee.tax_percent)
    return charged


def fees_due(chargeable: Mapping[date, PlanOnDay], charged: Mapping[date, PlanOnDay], days: BillingDays) -> list[Fee]:
    """Return the fees that turn what is charged into what is chargeable, credits first.

    A day that is charged for its plan already stays so, whatever the plan costs now.
    """
    returned = {day: plan for day, plan in charged.items() if _plan_id(chargeable.get(day)) != plan.plan_id}
    due = {day: plan for day, plan in chargeable.items() if _plan_id(charged.get(day)) != plan.plan_id}
    return [
        *(_fee(stretch, days, is_credit=True) for stretch in group_consecutive_days(returned)),
        *(_fee(stretch, days, is_credit=False) for stretch in group_consecutive_days(due)),
    ]


def group_consecutive_days(by_day: Mapping[date, PlanOnDay]) -> list[Stretch]:
    """Return the stretches of days that follow one another on the same plan at the same price."""
    found: list[Stretch] = []
    for day in sorted(by_day):
        first = day
        if found and found[-1].plan == by_day[day] and found[-1].last + DAY == day:
            first = found.pop().first
        found.append(Stretch(by_day[day], first, day))
    return found


def _fee(stretch: Stretch, days: BillingDays, *, is_credit: bool) -> Fee:
    plan = stretch.plan
    return Fee(
        days.period,
        plan.plan_id,
        plan.name,
        plan.price,
        plan.tax_percent,
        first=stretch.first,
        last=stretch.last,
        of_days=days.count,
        is_credit=is_credit,
    )


def _plan_id(plan: PlanOnDay | None) -> str | None:
    return None if plan is None else plan.plan_id
