"""What a tariff must keep to when it is set, beside its form: every amount that it can give can be stored.

Tariffs that are set already are read by parse_tariff alone: they stay as they are.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from portal.billing.decimals import ZERO, format_decimal
from portal.billing.parse_tariff import parse_tariff
from portal.billing.tariff import Charge, ChargeModel, Tariff, tariff_document
from portal.core.errors import Invalid
from portal.core.money import exactly

MAX_COUNTED = Decimal(2**63 - 1)
"""The most units of a period that can be counted: its counter is a bigint."""
MAX_AMOUNT = Decimal(10) ** 30
"""What all charges of a tariff may come to. Amounts are stored with 32 digits before the point: what is left is for
tax, fees and the other plans of a month."""


def parse_new_tariff(document: Mapping[str, Any]) -> Tariff:
    """Return the tariff that a document describes, to be set on a plan. Raises Invalid, with the path of a mistake."""
    tariff = parse_tariff(document)
    with exactly():
        left = MAX_AMOUNT
        for place, charge in enumerate(tariff.charges):
            path = ("charges", str(place))
            if charge.free_units % 1:
                raise Invalid("A part of a unit.", hint="Write whole units.", path=(*path, "free_units"))
            amount = max(_largest_amount(charge), charge.minimum or ZERO)
            if amount > left:
                raise _refusal(charge, amount, path)
            left -= amount
    return tariff


def _largest_amount(charge: Charge) -> Decimal:
    """Return the most that a charge can come to, before its maximum, which takes off what is on a line already."""
    units = MAX_COUNTED - min(charge.free_units, MAX_COUNTED)
    match charge.model:
        case ChargeModel.FLAT:
            return charge.price
        case ChargeModel.PER_UNIT:
            return units * charge.unit
        case ChargeModel.PACKAGE:
            return (units / charge.size + 1) * charge.price
    reached = [
        (units if tier.up_to is None else min(units, tier.up_to), start, tier)
        for start, tier in zip([ZERO, *(tier.up_to or ZERO for tier in charge.tiers)], charge.tiers, strict=False)
        if start <= units
    ]
    if charge.model is ChargeModel.VOLUME:
        return max(end * tier.unit + tier.flat for end, _, tier in reached)
    return sum(((end - start) * tier.unit + tier.flat for end, start, tier in reached), ZERO)


def _refusal(charge: Charge, amount: Decimal, path: tuple[str, ...]) -> Invalid:
    most = f"{format_decimal(MAX_COUNTED)} units, the most that can be counted,"
    return Invalid(
        f"{charge.code} could come to more than can be stored: {most} would cost {amount:.3e}.",
        hint=f"Lower its prices: all charges together may come to {MAX_AMOUNT:.0e}.",
        path=path,
    )


def normalize_plan_tariff(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan's document, whole or in part, with its tariff validated and in its normal form.

    Raises Invalid with the path in the plan's document.
    """
    tariff = document.get("tariff")
    if not tariff:
        return {**document, "tariff": {}} if "tariff" in document else dict(document)
    try:
        return {**document, "tariff": tariff_document(parse_new_tariff(tariff))}
    except Invalid as error:
        raise Invalid(error.message, hint=error.hint, path=("tariff", *error.path)) from None
