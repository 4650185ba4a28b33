"""What usage costs: tariffs, rating and proration. Invoices come on top.

All of it is pure: (tariff, quantities, share of the period) become lines, the same ones whenever they are computed.
Money is Decimal, never a float: sums are exact, each line is rounded half-up to minor units once, tax on them.
"""

from portal.billing.decimals import decimal_from, signed_decimal_from, written
from portal.billing.parts import Part
from portal.billing.prorate import WHOLE, Share, days_covered, prorate
from portal.billing.rate import Line, LineKind, Totals, add_up, rate_usage
from portal.billing.tariff import (
    Charge,
    ChargeModel,
    Tariff,
    Tier,
    currency_from,
    tariff_document,
    tariff_from,
)

__all__ = [
    "WHOLE",
    "Charge",
    "ChargeModel",
    "Line",
    "LineKind",
    "Part",
    "Share",
    "Tariff",
    "Tier",
    "Totals",
    "add_up",
    "currency_from",
    "days_covered",
    "decimal_from",
    "prorate",
    "rate_usage",
    "signed_decimal_from",
    "tariff_document",
    "tariff_from",
    "written",
]
