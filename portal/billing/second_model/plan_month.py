"""What a whole month of some units costs on a plan: for pages that compare plans. Pure."""

from dataclasses import dataclass
from decimal import Decimal

from portal.billing.parse_tariff import parse_tariff_or_none
from portal.billing.rate import rate_usage
from portal.core.money import exactly
from portal.plans import PlanTerms, fee_ahead


@dataclass(frozen=True, slots=True)
class PlanMonth:
    """`amount`: price and usage of the `units` that pass, before tax. `denied`: units that a hard quota refuses."""

    units: int
    denied: int
    amount: Decimal


def price_plan_month(terms: PlanTerms, units: int) -> PlanMonth:
    """Return what a month of so many units costs on a plan that the account is on all month."""
    passing = units if terms.hard_quota is None else min(units, terms.hard_quota)
    tariff = parse_tariff_or_none(terms.tariff)
    quantities = {charge.code: Decimal(passing) for charge in tariff.charges} if tariff else {}
    lines = rate_usage(tariff, quantities) if tariff else ()
    with exactly():
        amount = fee_ahead(terms) + sum((line.amount for line in lines), Decimal(0))
    return PlanMonth(passing, units - passing, amount)
