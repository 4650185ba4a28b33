"""Tariffs: what usage costs, as a JSON document and as what rating computes with.

Read strictly, since a misspelled price is money: what is not understood is refused with its place.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from portal.billing.decimals import ZERO, format_decimal
from portal.billing.fields import Fields, Path, fields_of
from portal.core.errors import Invalid

TARIFF_FIELDS = ("currency", "charges", "minimum", "maximum", "tax_percent")
CHARGE_FIELDS = ("code", "model", "free_units", "unit", "tiers", "size", "price", "minimum", "maximum")
TIER_FIELDS = ("up_to", "unit", "flat")
MAX_CHARGES = 100
MAX_TIERS = 100
CURRENCY = re.compile(r"[A-Z]{3}")
CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


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


def tariff_from(document: Mapping[str, Any]) -> Tariff:
    """Numbers are strings or integers. Raises Invalid, with the path of the first mistake."""
    fields = fields_of(document, (), TARIFF_FIELDS)
    currency = currency_from(fields.get("currency"), fields.at("currency"))
    charges = tuple(_charge(value, path) for value, path in fields.get_list("charges", MAX_CHARGES))
    minimum, maximum = _bounds(fields)
    tax_percent = fields.find_decimal("tax_percent")
    if tax_percent is not None and tax_percent > 100:
        raise Invalid("More than 100 percent.", hint="Write 20 for 20 %.", path=fields.at("tax_percent"))
    return Tariff(currency, charges, minimum, maximum, tax_percent)


def parse_tariff_or_none(document: Mapping[str, Any]) -> Tariff | None:
    """A plan's. None where there is none, so that its usage costs nothing. Raises Invalid."""
    return tariff_from(document) if document else None


def tariff_document(tariff: Tariff) -> dict[str, Any]:
    """The canonical form: equal tariffs have equal documents, and `tariff_from` reads them back."""
    return {
        "currency": tariff.currency,
        "charges": [_charge_document(charge) for charge in tariff.charges],
        "minimum": _written_or_none(tariff.minimum),
        "maximum": _written_or_none(tariff.maximum),
        "tax_percent": _written_or_none(tariff.tax_percent),
    }


def currency_from(value: object, path: Path) -> str:
    """Raises Invalid for what is not of the form of an ISO 4217 code."""
    if not isinstance(value, str) or not CURRENCY.fullmatch(value):
        raise Invalid("This is no currency.", hint="Write its ISO 4217 code, like EUR.", path=path)
    return value


def _charge(value: object, path: Path) -> Charge:
    fields = fields_of(value, path, CHARGE_FIELDS)
    code = fields.get("code")
    if not isinstance(code, str) or not CODE.fullmatch(code):
        hint = "Up to 64 letters, digits, _, . and -, like calls."
        raise Invalid("This is no code of a charge.", hint=hint, path=fields.at("code"))
    model = _model(fields)
    minimum, maximum = _bounds(fields)
    has = PRICED_BY[model]
    return Charge(
        code,
        model,
        free_units=_free_units(fields, model),
        tiers=_tiers(fields) if "tiers" in has else (),
        unit=fields.get_decimal("unit") if "unit" in has else ZERO,
        size=_size(fields) if "size" in has else ZERO,
        price=fields.get_decimal("price") if "price" in has else ZERO,
        minimum=minimum,
        maximum=maximum,
    )


def _model(fields: Fields) -> ChargeModel:
    value = fields.get("model")
    if value not in [*ChargeModel]:
        hint = f"It is one of {', '.join(ChargeModel)}."
        raise Invalid("This model is not known.", hint=hint, path=fields.at("model"))
    model = ChargeModel(value)
    hint = f"A charge of this model is priced by {' and '.join(PRICED_BY[model])}."
    for name in ("unit", "tiers", "size", "price"):
        if name not in PRICED_BY[model] and fields.find(name) is not None:
            raise Invalid(f"The model {model} has no `{name}`.", hint=hint, path=fields.at(name))
    return model


def _free_units(fields: Fields, model: ChargeModel) -> Decimal:
    free_units = fields.find_decimal("free_units") or ZERO
    if free_units and model is ChargeModel.FLAT:
        hint = "Leave them out, or choose per_unit."
        raise Invalid("A flat charge counts no units.", hint=hint, path=fields.at("free_units"))
    return free_units


def _size(fields: Fields) -> Decimal:
    size = fields.get_decimal("size")
    if not size:
        raise Invalid("A package of no units.", hint="Write more than 0.", path=fields.at("size"))
    return size


def _tiers(fields: Fields) -> tuple[Tier, ...]:
    entries = fields.get_list("tiers", MAX_TIERS)
    tiers = [_tier(fields_of(value, path, TIER_FIELDS)) for value, path in entries]
    before = ZERO
    for tier, (_, path) in zip(tiers[:-1], entries, strict=False):
        if tier.up_to is None:
            raise Invalid("Only the last tier is open.", hint="Give it an end.", path=(*path, "up_to"))
        if tier.up_to <= before:
            hint = f"Let it end above {format_decimal(before)}."
            raise Invalid("The tiers do not ascend.", hint=hint, path=(*path, "up_to"))
        before = tier.up_to
    if not tiers or tiers[-1].up_to is not None:
        path = (*entries[-1][1], "up_to") if entries else fields.at("tiers")
        raise Invalid("The last tier is not open.", hint="End with one whose up_to is null.", path=path)
    return tuple(tiers)


def _tier(fields: Fields) -> Tier:
    return Tier(fields.find_decimal("up_to"), fields.get_decimal("unit"), fields.find_decimal("flat") or ZERO)


def _bounds(fields: Fields) -> tuple[Decimal | None, Decimal | None]:
    minimum, maximum = fields.find_decimal("minimum"), fields.find_decimal("maximum")
    if minimum is not None and maximum is not None and minimum > maximum:
        hint = f"Write {format_decimal(minimum)} or more."
        raise Invalid("The maximum is below the minimum.", hint=hint, path=fields.at("maximum"))
    return minimum, maximum


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
