"""Which plan each day belongs to, which days are to be charged, and which to be given back. Pure.

A day belongs to the dearest plan that the account was on within it, in its own time zone, so that changing back and
forth saves nothing. The fee of a period is charged ahead, on the invoice of the period before; where the plan changed
since, the days are given back and the new plan's charged.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from portal.plans import Period

DAY = timedelta(days=1)


class PlanOnDay(NamedTuple):
    """A plan at its price of a whole period; `is_metered`: its usage costs something, too."""

    plan_id: str
    name: str
    price: Decimal
    tax_percent: Decimal | None = None
    is_metered: bool = False

    @property
    def rank(self) -> tuple[Decimal, bool]:
        return self.price, self.is_metered


class PlanChange(NamedTuple):
    """The account chose the plan within this day."""

    day: date
    rate: PlanOnDay


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


def days_of(period: Period, time_zone: str) -> BillingDays:
    zone = ZoneInfo(time_zone)
    return BillingDays(period.name, _day(period.start, zone), _day(period.end - DAY / 2, zone))


def day_of(instant: datetime, time_zone: str) -> date:
    return _day(instant, ZoneInfo(time_zone))


def rate_on(changes: Sequence[PlanChange], day: date) -> PlanOnDay | None:
    """The day's plan, the later one of two that cost the same; None before the first. `changes` are in their order."""
    before = [change.rate for change in changes if change.day < day][-1:]
    within = [change.rate for change in changes if change.day == day]
    return max(reversed(before + within), key=lambda rate: rate.rank, default=None)


def rates_on(changes: Sequence[PlanChange], days: BillingDays) -> dict[date, PlanOnDay]:
    """Of each day that has a plan."""
    rates = {day: rate_on(changes, day) for day in days.each()}
    return {day: rate for day, rate in rates.items() if rate is not None}


def chargeable_days(rates: Mapping[date, PlanOnDay]) -> dict[date, PlanOnDay]:
    """The days that cost something."""
    return {day: rate for day, rate in rates.items() if rate.price}


def invoiced(fees: Iterable[Fee], days: BillingDays) -> dict[date, PlanOnDay]:
    """What was charged for each day so far and not given back. `fees` are in the order of their invoices' lines."""
    found: dict[date, PlanOnDay] = {}
    for fee in fees:
        for day in BillingDays(fee.period, max(fee.first, days.first), min(fee.last, days.last)).each():
            if fee.is_credit:
                found.pop(day, None)
            else:
                found[day] = PlanOnDay(fee.plan_id, fee.plan, fee.price, fee.tax_percent)
    return found


def fees_due(
    chargeable_days: Mapping[date, PlanOnDay], invoiced: Mapping[date, PlanOnDay], days: BillingDays
) -> list[Fee]:
    """What makes `invoiced` into `owed`: what is given back first. A day charged for its plan is left, at any price."""
    returned = {day: rate for day, rate in invoiced.items() if _plan_of(chargeable_days.get(day)) != rate.plan_id}
    charges = {day: rate for day, rate in chargeable_days.items() if _plan_of(invoiced.get(day)) != rate.plan_id}
    return [
        Fee(days.period, *rate[:4], first, last, days.count, is_credit)
        for is_credit, rates in ((True, returned), (False, charges))
        for rate, first, last in group_consecutive_days(rates)
    ]


def group_consecutive_days(rates: Mapping[date, PlanOnDay]) -> list[tuple[PlanOnDay, date, date]]:
    """The first and last of days that follow one another at the same rate."""
    found: list[tuple[PlanOnDay, date, date]] = []
    for day in sorted(rates):
        first = day
        if found and found[-1][0] == rates[day] and found[-1][2] + DAY == day:
            _, first, _ = found.pop()
        found.append((rates[day], first, day))
    return found


def _plan_of(rate: PlanOnDay | None) -> str | None:
    return None if rate is None else rate.plan_id


def _day(instant: datetime, zone: ZoneInfo) -> date:
    return instant.astimezone(zone).date()
