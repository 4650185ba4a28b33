"""Tariffs: what usage costs, as rating computes with it, and the one form in which it is stored."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from portal.billing.decimals import ZERO, format_decimal


class ChargeModel(StrEnum):
    PER_UNIT = "per_unit"
    GRADUATED = "graduated"
    VOLUME = "volume"
    PACKAGE = "package"
    FLAT = "flat"


PRICED_BY = {
    ChargeModel.PER_UNIT: ("unit",),
    ChargeModel.GRADUATED: ("tiers",),
    ChargeModel.VOLUME: ("tiers",),
    ChargeModel.PACKAGE: ("size", "price"),
    ChargeModel.FLAT: ("price",),
}
"""The fields that only some models have; those of its own model a charge must have."""


@dataclass(frozen=True, slots=True)
class Tier:
    """Up to and including `up_to` units (None: without end), `unit` each, and `flat` once the tier is entered."""

    up_to: Decimal | None
    unit: Decimal
    flat: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Charge:
    """What the units counted under `code` cost.

    `unit` is the price of one (per_unit); `price` that of a package of `size` units (package) or of the period (flat);
    `tiers` are for graduated and volume. What is not of the model is 0 or empty. `minimum` and `maximum` bound this
    charge's amount.
    """

    code: str
    model: ChargeModel
    free_units: Decimal = ZERO
    tiers: tuple[Tier, ...] = ()
    unit: Decimal = ZERO
    size: Decimal = ZERO
    price: Decimal = ZERO
    minimum: Decimal | None = None
    maximum: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Tariff:
    """`minimum` and `maximum` bound the sum of all charges, before tax."""

    currency: str
    charges: tuple[Charge, ...]
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    tax_percent: Decimal | None = None


def tariff_document(tariff: Tariff) -> dict[str, Any]:
    """Return the canonical form: equal tariffs have equal documents, and `parse_tariff` reads them back."""
    return {
        "currency": tariff.currency,
        "charges": [_charge_document(charge) for charge in tariff.charges],
        "minimum": _written_or_none(tariff.minimum),
        "maximum": _written_or_none(tariff.maximum),
        "tax_percent": _written_or_none(tariff.tax_percent),
    }


def _charge_document(charge: Charge) -> dict[str, Any]:
    priced_by: dict[str, Any] = {
        "unit": format_decimal(charge.unit),
        "tiers": [_tier_document(tier) for tier in charge.tiers],
        "size": format_decimal(charge.size),
        "price": format_decimal(charge.price),
    }
    return {
        "code": charge.code,
        "model": charge.model.value,
        "free_units": format_decimal(charge.free_units),
        **{name: priced_by[name] for name in PRICED_BY[charge.model]},
        "minimum": _written_or_none(charge.minimum),
        "maximum": _written_or_none(charge.maximum),
    }


def _tier_document(tier: Tier) -> dict[str, str | None]:
    return {"up_to": _written_or_none(tier.up_to), "unit": format_decimal(tier.unit), "flat": format_decimal(tier.flat)}


def _written_or_none(number: Decimal | None) -> str | None:
    return None if number is None else format_decimal(number)
