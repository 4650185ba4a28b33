"""How a charge's amount comes about: its tiers, packages and free units, each exact, so that the sum can be checked.

Free units go first; what is left is priced as if it were all there is. Free units and flat charges are divided by days;
tiers, their flat fees and packages never are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from portal.billing.decimals import ZERO, format_decimal
from portal.billing.prorate import Share, prorate, prorate_units
from portal.billing.tariff import Charge, ChargeModel, Tier


@dataclass(frozen=True, slots=True)
class LineComponent:
    """A part of a charge: `amount` = `quantity` x `unit` + `flat`, not rounded.

    A package's `quantity` is packages and `unit` the price of one; free units have `unit` 0.
    """

    quantity: Decimal
    unit: Decimal
    flat: Decimal
    amount: Decimal


def components_of(charge: Charge, quantity: Decimal, currency: str, share: Share) -> tuple[LineComponent, ...]:
    """Return a charge's components, in the order in which units are used up. Call it within `exactly()`."""
    if charge.model is ChargeModel.FLAT:
        # Rounded here: a share of days has no end in decimals, and a part that cannot be written explains nothing.
        return (_part(ZERO, ZERO, prorate(charge.price, share, currency)),)
    free = min(quantity, prorate_units(charge.free_units, share))
    priced = _priced(charge, quantity - free)
    return (_part(free, ZERO), *priced) if free else priced


def part_document(part: LineComponent) -> dict[str, str]:
    """Return a component as an invoice line stores it."""
    return {name: format_decimal(getattr(part, name)) for name in ("quantity", "unit", "flat", "amount")}


def parts_from(documents: Iterable[Mapping[str, str]]) -> list[LineComponent]:
    """Return the components that `part_document` wrote."""
    return [LineComponent(**{name: Decimal(number) for name, number in part.items()}) for part in documents]


def _priced(charge: Charge, quantity: Decimal) -> tuple[LineComponent, ...]:
    if charge.model is ChargeModel.GRADUATED:
        return _graduated(charge.tiers, quantity)
    if charge.model is ChargeModel.VOLUME:
        tier = next(tier for tier in charge.tiers if tier.up_to is None or quantity <= tier.up_to)
        return (_part(quantity, tier.unit, tier.flat),)
    if charge.model is ChargeModel.PACKAGE:
        whole, rest = divmod(quantity, charge.size)
        return (_part(whole + 1 if rest else whole, charge.price),)
    return (_part(quantity, charge.unit),)


def _graduated(tiers: tuple[Tier, ...], quantity: Decimal) -> tuple[LineComponent, ...]:
    """Return the tiers that a quantity reaches. One counts once the tier before is exceeded, the first always."""
    parts: list[LineComponent] = []
    start = ZERO
    for tier in tiers:
        if parts and quantity <= start:
            break
        end = quantity if tier.up_to is None else min(quantity, tier.up_to)
        parts.append(_part(end - start, tier.unit, tier.flat))
        start = end if tier.up_to is None else tier.up_to
    return tuple(parts)


def _part(quantity: Decimal, unit: Decimal, flat: Decimal = ZERO) -> LineComponent:
    return LineComponent(quantity, unit, flat, quantity * unit + flat)
