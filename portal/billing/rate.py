"""Rating: a tariff and quantities become lines, and lines become totals. Pure: the same arguments, the same lines.

A line is rounded once, half-up to minor units. Bounds and tax are computed on rounded lines: what is printed adds up.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from portal.billing.components import LineComponent, components_of
from portal.billing.decimals import ZERO, format_decimal
from portal.billing.prorate import WHOLE, Share, prorate, prorate_units
from portal.billing.tariff import Charge, ChargeModel, Tariff
from portal.core.errors import Invalid
from portal.core.money import Money, exactly

MAX_DIGITS, MAX_DECIMALS = 30, 12
"""Of a quantity; more would not be exact."""

CALLED = {
    ChargeModel.PER_UNIT: "{code}, by the unit",
    ChargeModel.GRADUATED: "{code}, in graduated tiers",
    ChargeModel.VOLUME: "{code}, in tiers by volume",
    ChargeModel.PACKAGE: "{code}, in packages of {size}",
    ChargeModel.FLAT: "{code}, flat{days}",
}


class LineKind(StrEnum):
    FEE = "fee"
    USAGE = "usage"
    ADJUSTMENT = "adjustment"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"


@dataclass(frozen=True, slots=True)
class Line:
    """`amount` is the rounded sum of `parts`. `code` is empty and `quantity` None where a line has none."""

    kind: LineKind
    code: str
    description: str
    quantity: Decimal | None
    amount: Decimal
    parts: tuple[LineComponent, ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    subtotal: Decimal
    tax: Decimal
    total: Decimal


def rate_usage(tariff: Tariff, quantities: Mapping[str, Decimal], share: Share = WHOLE) -> tuple[Line, ...]:
    """Price quantities: a line for each charge in its order, then what minimum and maximum spend add or take off.

    A code without a quantity has used 0. The share divides free units, flat charges and minimum spend, never tiers,
    packages or maximum spend.
    Raises Invalid for a quantity that is negative or has more digits than can be exact.
    """
    with exactly():
        rated = [(charge, _line(charge, quantities, tariff.currency, share)) for charge in tariff.charges]
        lines = [line for _, line in rated]
        lines += [bound for charge, line in rated for bound in _bound(charge, line.amount, tariff.currency, share)]
        total = sum((line.amount for line in lines), ZERO)
        return (*lines, *_bound(tariff, total, tariff.currency, share))


def add_up(lines: Iterable[Line], currency: str, tax_percent: Decimal | None) -> Totals:
    """Add up lines of one tax rate: the tax is computed on their sum, and rounded once."""
    with exactly():
        subtotal = Money(sum((line.amount for line in lines), ZERO), currency).rounded().amount
        tax = Money(subtotal * (tax_percent or ZERO) / 100, currency).rounded().amount
        return Totals(subtotal, tax, subtotal + tax)


def _line(charge: Charge, quantities: Mapping[str, Decimal], currency: str, share: Share) -> Line:
    quantity = _checked(quantities.get(charge.code, ZERO), charge.code)
    parts = components_of(charge, quantity, currency, share)
    amount = Money(sum((part.amount for part in parts), ZERO), currency).rounded().amount
    called = CALLED[charge.model].format(code=charge.code, size=format_decimal(charge.size), days=_days(share))
    if charge.model is ChargeModel.FLAT:
        return Line(LineKind.FEE, charge.code, called, None, amount, parts)
    return Line(LineKind.USAGE, charge.code, called + included_in_words(charge, share), quantity, amount, parts)


def _checked(quantity: Decimal, code: str) -> Decimal:
    path = ("quantities", code)
    if not quantity.is_finite() or quantity < 0:
        raise Invalid("A quantity is 0 or more.", hint="Correct it with an adjustment line.", path=path)
    if quantity.adjusted() >= MAX_DIGITS or quantity != round(quantity, MAX_DECIMALS):
        hint = f"At most {MAX_DIGITS} before and {MAX_DECIMALS} after the point."
        raise Invalid("The quantity has too many digits.", hint=hint, path=path)
    return quantity


def _bound(of: Charge | Tariff, amount: Decimal, currency: str, share: Share) -> tuple[Line, ...]:
    """Return the line that brings the amount up to the minimum spend or down to the maximum, if one does."""
    code = of.code if isinstance(of, Charge) else ""
    if of.minimum is not None and (missing := prorate(of.minimum, share, currency) - amount) > 0:
        called = f"Minimum spend {format_decimal(of.minimum)}{_days(share)}"
        return (Line(LineKind.MINIMUM, code, called, None, missing),)
    if of.maximum is not None and (excess := amount - Money(of.maximum, currency).rounded().amount) > 0:
        called = f"Maximum spend {format_decimal(of.maximum)}"
        return (Line(LineKind.MAXIMUM, code, called, None, -excess),)
    return ()


def included_in_words(charge: Charge, share: Share) -> str:
    """Return how many units are free where days divide them: ", 12 of 31 days, 387,097 included"."""
    if share.is_whole or not charge.free_units:
        return ""
    return f"{_days(share)}, {prorate_units(charge.free_units, share):,} included"


def _days(share: Share) -> str:
    return "" if share.is_whole else f", {share.days} of {share.of_days} days"
