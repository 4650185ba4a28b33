"""The five charge models, what is divided by days, and the bounds of a stretch's usage lines."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.billing.oracle.money import ceil, to_minor


@dataclass(frozen=True)
class Tier:
    """A step of the price: up to and with `up_to` units (None: all further), each at `unit`, once `flat`."""

    up_to: Fraction | None
    unit: Fraction
    flat: Fraction


@dataclass(frozen=True)
class Charge:
    """One price of a tariff, in major units."""

    code: str
    model: str
    free_units: int = 0
    unit: Fraction = Fraction(0)
    size: int = 1
    price: Fraction = Fraction(0)
    tiers: tuple[Tier, ...] = ()
    minimum: Fraction | None = None
    maximum: Fraction | None = None


@dataclass(frozen=True)
class Tariff:
    """The prices of a plan version."""

    currency: str
    charges: tuple[Charge, ...]
    minimum: Fraction | None = None
    maximum: Fraction | None = None
    tax_percent: Fraction = Fraction(0)


@dataclass(frozen=True)
class UsageLine:
    """What a charge (or a bound of the whole tariff) adds for a stretch, in minor units."""

    code: str
    amount: int


def read_tariff(document: Mapping[str, Any]) -> Tariff:
    """Read a tariff as the design writes it; per unit has `unit`, flat has `price`."""

    def amount(value: object) -> Fraction | None:
        return None if value is None else Fraction(str(value))

    def tier(entry: Mapping[str, Any]) -> Tier:
        return Tier(amount(entry["up_to"]), Fraction(str(entry["unit"])), Fraction(str(entry.get("flat") or 0)))

    def charge(entry: Mapping[str, Any]) -> Charge:
        return Charge(
            code=entry["code"],
            model=entry["model"],
            free_units=int(entry.get("free_units") or 0),
            unit=Fraction(str(entry.get("unit") or 0)),
            size=int(entry.get("size") or 1),
            price=Fraction(str(entry.get("price") or 0)),
            tiers=tuple(tier(step) for step in entry.get("tiers") or ()),
            minimum=amount(entry.get("minimum")),
            maximum=amount(entry.get("maximum")),
        )

    return Tariff(
        currency=document["currency"],
        charges=tuple(charge(entry) for entry in document["charges"]),
        minimum=amount(document.get("minimum")),
        maximum=amount(document.get("maximum")),
        tax_percent=amount(document.get("tax_percent")) or Fraction(0),
    )


def write_tariff(tariff: Tariff) -> dict[str, Any]:
    """Write a tariff as `read_tariff` reads it: what a charge's model has, and no more."""
    models = {"per_unit": ["unit"], "package": ["size", "price"], "flat": ["price"]}

    def number(value: Fraction | int | None) -> str | None:
        return None if value is None else f"{Decimal(value.numerator) / Decimal(value.denominator):f}"

    def charge(one: Charge) -> dict[str, Any]:
        written: dict[str, Any] = {"code": one.code, "model": one.model}
        written |= {name: number(getattr(one, name)) for name in ["minimum", "maximum", *models.get(one.model, [])]}
        if one.model != "flat":
            written["free_units"] = one.free_units
        if one.tiers:
            steps = [(number(step.up_to), number(step.unit), number(step.flat)) for step in one.tiers]
            written["tiers"] = [{"up_to": up_to, "unit": unit, "flat": flat} for up_to, unit, flat in steps]
        return written

    return {
        "currency": tariff.currency,
        "charges": [charge(one) for one in tariff.charges],
        "minimum": number(tariff.minimum),
        "maximum": number(tariff.maximum),
        "tax_percent": number(tariff.tax_percent),
    }


def share_of(whole: int, days: int, of_days: int) -> int:
    """Return the units that belong to some days of a period, rounded up."""
    return ceil(Fraction(whole * days, of_days))


def usage_lines(tariff: Tariff, units: Fraction | int, days: int, of_days: int) -> list[UsageLine]:
    """Price a stretch's units: a line per charge, and one more where a bound of the whole tariff changes the sum."""
    part = Fraction(days, of_days)
    lines = [
        UsageLine(charge.code, _bounded_charge(tariff, charge, Fraction(units), part)) for charge in tariff.charges
    ]
    total = sum(line.amount for line in lines)
    bounded = _bound(total, tariff.minimum, tariff.maximum, part, tariff.currency)
    if bounded > total:
        lines.append(UsageLine("minimum", bounded - total))
    elif bounded < total:
        lines.append(UsageLine("maximum", bounded - total))
    return lines


def price_of(tariff: Tariff | None, units: Fraction | int, days: int, of_days: int) -> int:
    """Return the total of a stretch's usage lines, in minor units."""
    return 0 if tariff is None else sum(line.amount for line in usage_lines(tariff, units, days, of_days))


def _bounded_charge(tariff: Tariff, charge: Charge, units: Fraction, part: Fraction) -> int:
    free = ceil(charge.free_units * part)
    exact = _amount(charge, max(Fraction(0), units - free), part)
    return _bound(to_minor(exact, tariff.currency), charge.minimum, charge.maximum, part, tariff.currency)


def _bound(amount: int, minimum: Fraction | None, maximum: Fraction | None, part: Fraction, currency: str) -> int:
    """Hold an amount: the minimum is divided by days, the maximum is not."""
    if minimum is not None:
        amount = max(amount, to_minor(minimum * part, currency))
    if maximum is not None:
        amount = min(amount, to_minor(maximum, currency))
    return amount


def _amount(charge: Charge, units: Fraction, part: Fraction) -> Fraction:
    if charge.model == "flat":
        return charge.price * part
    if charge.model == "per_unit":
        return charge.unit * units
    if charge.model == "package":
        return charge.price * ceil(units / charge.size)
    if charge.model == "volume":
        step = next(tier for tier in charge.tiers if tier.up_to is None or units <= tier.up_to)
        return step.flat + step.unit * units
    if charge.model == "graduated":
        return _graduated(charge.tiers, units)
    raise ValueError(charge.model)


def _graduated(tiers: tuple[Tier, ...], units: Fraction) -> Fraction:
    total = tiers[0].flat
    reached = Fraction(0)
    for index, tier in enumerate(tiers):
        if units <= reached:
            break
        top = units if tier.up_to is None else min(units, tier.up_to)
        total += (top - reached) * tier.unit + (tier.flat if index else 0)
        reached = top
        if tier.up_to is None:
            break
        reached = min(tier.up_to, units)
    return total
