"""What usage costs, as the tariff of a plan says it."""

from decimal import Decimal
from enum import Enum
from typing import Self

import strawberry

from portal import billing
from portal.graphql.engine.scalars import value


@strawberry.enum(description="How a charge prices units.")
class ChargeModel(Enum):
    PER_UNIT = value("per_unit", "Each unit at `unit`.")
    GRADUATED = value("graduated", "Each unit at the price of the tier that it lies in.")
    VOLUME = value("volume", "All units at the price of the tier that their number lies in.")
    PACKAGE = value("package", "`price` for every `size` units that were begun.")
    FLAT = value("flat", "`price` a month, whatever was used.")


@strawberry.type(description="A tier of a charge: up to so many units, at one price each.")
class TariffTier:
    up_to: str | None = strawberry.field(description="The last unit in it; null: without end.")
    unit: str = strawberry.field(description="The exact price of a unit.")
    flat: str = strawberry.field(description="What is added once the tier is entered.")

    @classmethod
    def of(cls, tier: billing.Tier) -> Self:
        return cls(
            up_to=_written(tier.up_to), unit=billing.format_decimal(tier.unit), flat=billing.format_decimal(tier.flat)
        )


@strawberry.type(description="One way in which usage is priced; all charges of a tariff price the same units.")
class TariffCharge:
    model: ChargeModel = strawberry.field(description="How it prices units.")
    free_units: str = strawberry.field(description="Units that cost nothing; they go first.")
    unit: str = strawberry.field(description="The price of a unit (PER_UNIT), else 0.")
    size: str = strawberry.field(description="Units in a package (PACKAGE), else 0.")
    price: str = strawberry.field(description="The price of a package (PACKAGE) or of a month (FLAT), else 0.")
    tiers: list[TariffTier] = strawberry.field(description="Its tiers (GRADUATED, VOLUME), else none.")
    minimum: str | None = strawberry.field(description="What it comes to at least; null: no such bound.")
    maximum: str | None = strawberry.field(description="What it comes to at most; null: no such bound.")

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


@strawberry.type(description="What the usage of a month costs beside the plan's price.")
class Tariff:
    currency: str = strawberry.field(description="The ISO 4217 code, like EUR.")
    charges: list[TariffCharge] = strawberry.field(description="What is added up.")
    minimum: str | None = strawberry.field(description="What they come to at least; null: no such bound.")
    maximum: str | None = strawberry.field(description="What they come to at most; null: no such bound.")
    tax_percent: str | None = strawberry.field(description="Tax on top of the whole invoice; null: none.")

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
