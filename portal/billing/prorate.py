"""Proration by day: both end days count, over the days that the period really has."""

import math
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from portal.core.errors import Invalid
from portal.core.money import Money, exactly
from portal.plans import included


@dataclass(frozen=True, slots=True)
class Share:
    """`days` of a period that has `of_days`. Raises ValueError for more than the period has."""

    days: int
    of_days: int

    def __post_init__(self) -> None:
        if not 0 <= self.days <= self.of_days or self.of_days == 0:
            raise ValueError(f"{self.days} of {self.of_days} days is no share")

    @property
    def is_whole(self) -> bool:
        return self.days == self.of_days


WHOLE = Share(1, 1)


def prorate(amount: Decimal, share: Share, currency: str) -> Decimal:
    """Return the share of an amount, rounded half-up to minor units, once."""
    with exactly():
        return Money(amount * share.days / share.of_days, currency).rounded().amount


def prorate_units(units: Decimal, share: Share) -> Decimal:
    """Return the share of included units, rounded up; all of them, as they are, for a whole period."""
    return units if share.is_whole else Decimal(included(math.ceil(units), share.days, share.of_days))


def days_covered(first: date, last: date, period_first: date, period_last: date) -> Share:
    """Return the share of a period that the days from `first` to `last` are.

    Raises Invalid for days outside it: another period's days have another price.
    """
    if period_last < period_first:
        raise Invalid("The period ends before it begins.", hint="Exchange its days.", path=("period_last",))
    if last < first:
        raise Invalid("The last day is before the first.", hint="Exchange them.", path=("last",))
    hint = f"It is {period_first} to {period_last}."
    if first < period_first:
        raise Invalid("The first day is before the period.", hint=hint, path=("first",))
    if last > period_last:
        raise Invalid("The last day is after the period.", hint=hint, path=("last",))
    return Share((last - first).days + 1, (period_last - period_first).days + 1)
