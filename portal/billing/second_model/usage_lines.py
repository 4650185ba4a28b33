"""Lines of usage: what each stretch's own units cost, and what was told late.

A stretch is priced alone, by its plan's tariff. What came after the invoice costs what its own stretch would have cost
more (or less) with it: the difference of two totals as they stand on invoices, so that adjustments add up.
"""

from dataclasses import replace
from decimal import Decimal

from portal.billing import first_model
from portal.billing.decimals import ZERO
from portal.billing.invoice_lines import UNITS, InvoiceLineDraft, priced_by_unit
from portal.billing.parse_tariff import parse_tariff_or_none
from portal.billing.prorate import Share
from portal.billing.rate import Line, LineKind, included_in_words, rate_usage
from portal.billing.second_model.inputs import LateUsage, StretchUsage
from portal.billing.second_model.words import month_in_words, spans_in_words
from portal.billing.tariff import Charge, Tariff
from portal.core.errors import Invalid
from portal.core.money import exactly


def usage_lines(stretch: StretchUsage, currency: str) -> list[InvoiceLineDraft]:
    """Return the lines of a stretch: its charges, then what its own minimum and maximum add or take off."""
    tariff = _tariff_of(stretch, currency)
    lines = _rated(stretch, tariff, stretch.units)
    has_several = len([line for line in lines if line.kind is LineKind.USAGE]) > 1
    where = f"in {month_in_words(stretch.period)}"
    if not stretch.share.is_whole:
        where = f"on {stretch.plan}, {spans_in_words(stretch.spans, stretch.time_zone)}"
    charges = (*tariff.charges, *[None] * (len(lines) - len(tariff.charges)))
    return [
        InvoiceLineDraft(
            replace(line, description=_described(line, charge, where, stretch.share, has_several=has_several)),
            stretch.period,
            stretch.plan_id,
            tariff.tax_percent,
            version=stretch.version,
        )
        for line, charge in zip(lines, charges, strict=True)
    ]


def late_line(late: LateUsage, currency: str) -> InvoiceLineDraft:
    """Return the adjustment of a stretch: its price with all its units, less its price with those that were billed."""
    stretch, tariff = late.metered, _tariff_of(late.metered, currency)
    with exactly():
        amount = _price(late, stretch.units, currency) - _price(late, late.billed, currency)
    described = f"Usage on {stretch.plan} in {month_in_words(stretch.period)} that came after its invoice"
    line = Line(LineKind.ADJUSTMENT, UNITS, described, Decimal(stretch.units - late.billed), amount)
    return InvoiceLineDraft(line, stretch.period, stretch.plan_id, tariff.tax_percent, version=stretch.version)


def _described(line: Line, charge: Charge | None, where: str, share: Share, *, has_several: bool) -> str:
    """Return "Usage on Pro, 20 to 31 August 2026, 12 of 31 days, 387,097 included"; `charge` None: it is a bound."""
    if charge is None or line.kind is not LineKind.USAGE:
        return f"{line.description} ({where})"
    included = included_in_words(charge, share)
    charged = f": {line.description.removesuffix(included)}" if has_several else ""
    return f"Usage {where}{included}{charged}"


def _tariff_of(stretch: StretchUsage, currency: str) -> Tariff:
    """Return a stretch's tariff. Raises Invalid for what is no tariff, or one in another currency."""
    tariff = parse_tariff_or_none(stretch.tariff) or Tariff(currency, ())
    if tariff.currency != currency:
        raise Invalid(f"The tariff of {stretch.plan} is in {tariff.currency}, the invoice in {currency}.")
    return priced_by_unit(tariff)


def _rated(stretch: StretchUsage, tariff: Tariff, units: int) -> tuple[Line, ...]:
    quantities = {charge.code: Decimal(max(0, units)) for charge in tariff.charges}
    return rate_usage(tariff, quantities, stretch.share)


def _price(late: LateUsage, units: int, currency: str) -> Decimal:
    """Return the total of a stretch's lines with so many units, by the model that invoiced it."""
    stretch = late.metered
    if late.model == 1:
        whole = stretch.period, stretch.plan_id, stretch.plan, stretch.tariff, units, stretch.days, stretch.of_days
        return first_model.price_usage(first_model.PeriodUsage(*whole), units, currency)
    return sum((line.amount for line in _rated(stretch, _tariff_of(stretch, currency), units)), ZERO)
