"""Which days of which plan are to be charged, and which to be given back. Pure.

A day belongs to the plan that was chosen last on it, in the account's time zone. The fee of a period is charged ahead,
on the invoice of the period before; where the plan changed since, the days are given back and the new plan's charged.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from portal.plans import Period

DAY = timedelta(days=1)


class Rate(NamedTuple):
    """A plan at its price of a whole period."""

    plan_id: str
    name: str
    price: Decimal


class Change(NamedTuple):
    """The account is on the plan from this day on."""

    day: date
    rate: Rate


@dataclass(frozen=True, slots=True)
class Fee:
    """A plan's price for the days `first` to `last` of a period of `of_days`, both counted; `is_credit`: given back."""

    period: str
    plan_id: str
    plan: str
    price: Decimal
    first: date
    last: date
    of_days: int
    is_credit: bool

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


@dataclass(frozen=True, slots=True)
class Days:
    """The days `first` to `last`, both in the period of that name."""

    period: str
    first: date
    last: date

    @property
    def count(self) -> int:
        return (self.last - self.first).days + 1

    def each(self) -> Iterable[date]:
        return (self.first + DAY * number for number in range(self.count))


def days_of(period: Period, time_zone: str) -> Days:
    zone = ZoneInfo(time_zone)
    return Days(period.name, _day(period.start, zone), _day(period.end - DAY / 2, zone))


def day_of(instant: datetime, time_zone: str) -> date:
    return _day(instant, ZoneInfo(time_zone))


def rate_on(changes: Sequence[Change], day: date) -> Rate | None:
    """The plan of a day; None before the first change. `changes` are in the order of time."""
    return next((change.rate for change in reversed(changes) if change.day <= day), None)


def owed(changes: Sequence[Change], days: Days) -> dict[date, Rate]:
    """What each day costs by what is known now; days without a plan, or with one that is free, are absent."""
    rates = {day: rate_on(changes, day) for day in days.each()}
    return {day: rate for day, rate in rates.items() if rate is not None and rate.price}


def invoiced(fees: Iterable[Fee], days: Days) -> dict[date, Rate]:
    """What was charged for each day so far and not given back. `fees` are in the order of their invoices' lines."""
    found: dict[date, Rate] = {}
    for fee in fees:
        for day in Days(fee.period, max(fee.first, days.first), min(fee.last, days.last)).each():
            if fee.is_credit:
                found.pop(day, None)
            else:
                found[day] = Rate(fee.plan_id, fee.plan, fee.price)
    return found


def fees_due(owed: Mapping[date, Rate], invoiced: Mapping[date, Rate], days: Days) -> list[Fee]:
    """What makes `invoiced` into `owed`: what is given back first. A day charged for its plan is left, at any price."""
    returned = {day: rate for day, rate in invoiced.items() if _plan_of(owed.get(day)) != rate.plan_id}
    charges = {day: rate for day, rate in owed.items() if _plan_of(invoiced.get(day)) != rate.plan_id}
    return [*_stretches(returned, days, is_credit=True), *_stretches(charges, days, is_credit=False)]


def _stretches(rates: Mapping[date, Rate], days: Days, *, is_credit: bool) -> list[Fee]:
    """Days that follow one another at the same rate are one fee."""
    found: list[Fee] = []
    for day in sorted(rates):
        fee = Fee(days.period, *rates[day], first=day, last=day, of_days=days.count, is_credit=is_credit)
        if found and replace(found[-1], first=day, last=day) == fee and found[-1].last + DAY == day:
            fee = replace(found.pop(), last=day)
        found.append(fee)
    return found


def _plan_of(rate: Rate | None) -> str | None:
    return None if rate is None else rate.plan_id


def _day(instant: datetime, zone: ZoneInfo) -> date:
    return instant.astimezone(zone).date()
