"""What usage costs, as the tariff of a plan says it."""

from decimal import Decimal
from enum import Enum
from typing import Self

import strawberry

from portal import billing
from portal.graphql.engine.scalars import value


@strawberry.enum(description="How a charge prices units.")
class ChargeModel(Enum):
    PER_UNIT = value("per_unit", "Every unit costs `unit`.")
    GRADUATED = value("graduated", "Each unit costs the price of the tier that it falls into.")
    VOLUME = value("volume", "All units cost the price of the tier that the total falls into.")
    PACKAGE = value("package", "`price` for every started package of `size` units.")
    FLAT = value("flat", "`price` per month, regardless of usage.")


@strawberry.type(description="A tier of a charge: units up to a bound at one price.")
class TariffTier:
    up_to: str | None = strawberry.field(description="Last unit of the tier; null for the last, unbounded tier.")
    unit: str = strawberry.field(description="Exact price of a unit.")
    flat: str = strawberry.field(description="Flat amount charged once the tier is reached.")

    @classmethod
    def of(cls, tier: billing.Tier) -> Self:
        return cls(
            up_to=_written(tier.up_to), unit=billing.format_decimal(tier.unit), flat=billing.format_decimal(tier.flat)
        )


@strawberry.type(description="A way in which usage is priced. All charges of a tariff price the same units.")
class TariffCharge:
    model: ChargeModel = strawberry.field(description="How the charge prices units.")
    free_units: str = strawberry.field(description="Free units, used up first.")
    unit: str = strawberry.field(description="Price of a unit (PER_UNIT), otherwise 0.")
    size: str = strawberry.field(description="Units per package (PACKAGE), otherwise 0.")
    price: str = strawberry.field(description="Price of a package (PACKAGE) or a month (FLAT), otherwise 0.")
    tiers: list[TariffTier] = strawberry.field(description="Tiers (GRADUATED, VOLUME), otherwise empty.")
    minimum: str | None = strawberry.field(description="Minimum amount of the charge; null if there is none.")
    maximum: str | None = strawberry.field(description="Maximum amount of the charge; null if there is none.")

    @classmethod
    def of(cls, charge: billing.Charge) -> Self:
        return cls(
            model=ChargeModel(charge.model.value),
            free_units=billing.format_decimal(charge.free_units),
            unit=billing.format_decimal(charge.unit),
            size=billing.format_decimal(charge.size),
            price=billing.format_decimal(charge.price),
            tiers=[TariffTier.of(tier) for tier in charge.tiers],
            minimum=_written(charge.minimum),
            maximum=_written(charge.maximum),
        )


@strawberry.type(description="Prices of a month's usage, on top of the plan's price.")
class Tariff:
    currency: str = strawberry.field(description="The ISO 4217 code, like EUR.")
    charges: list[TariffCharge] = strawberry.field(description="Charges, which are added up.")
    minimum: str | None = strawberry.field(description="Minimum of all charges together; null if there is none.")
    maximum: str | None = strawberry.field(description="Maximum of all charges together; null if there is none.")
    tax_percent: str | None = strawberry.field(description="Tax rate on the whole invoice, in percent; null for none.")

    @classmethod
    def of(cls, tariff: billing.Tariff) -> Self:
        return cls(
            currency=tariff.currency,
            charges=[TariffCharge.of(charge) for charge in tariff.charges],
            minimum=_written(tariff.minimum),
            maximum=_written(tariff.maximum),
            tax_percent=_written(tariff.tax_percent),
        )


def _written(number: Decimal | None) -> str | None:
    return None if number is None else billing.format_decimal(number)
