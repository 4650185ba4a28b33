"""An invoice stops at 0: what it would be below goes to the next one, whole, each rate of tax by itself.

So the tax of what is carried over is neither lost nor charged twice: amounts of each rate add up over all invoices.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from portal.billing.decimals import ZERO
from portal.billing.invoice_lines import InvoiceLineDraft, totals
from portal.billing.rate import Line, LineKind
from portal.billing.second_model.inputs import CarriedOver
from portal.billing.second_model.words import month_in_words
from portal.core.money import exactly

IN, OUT = "carried_in", "carried_over"
"""The codes of these lines. They are adjustments: a version that knows no other kind shows them, too."""


def carried_in_lines(carried: Iterable[CarriedOver]) -> list[InvoiceLineDraft]:
    """Return a line for each rate of tax of which an earlier invoice left something over."""
    return [
        InvoiceLineDraft(
            Line(LineKind.ADJUSTMENT, IN, f"Carried over from {month_in_words(left.period)}", None, left.amount),
            left.period,
            left.plan_id,
            left.tax_percent,
        )
        for left in carried
    ]


def carried_over_lines(drafts: Sequence[InvoiceLineDraft], currency: str, period: str) -> list[InvoiceLineDraft]:
    """Return the lines that bring an invoice up to 0, if it is below without tax or with it."""
    sums = totals(currency, drafts)
    if sums.subtotal >= 0 and sums.total >= 0:
        return []
    return [
        InvoiceLineDraft(
            Line(LineKind.ADJUSTMENT, OUT, "Carried over to the next invoice", None, -of_rate.amount),
            period,
            of_rate.plan_id,
            of_rate.tax_percent,
        )
        for of_rate in _by_rate(drafts)
        if of_rate.amount
    ]


def carried_over(drafts: Iterable[InvoiceLineDraft]) -> list[CarriedOver]:
    """Return what the invoice of these lines leaves to the next one."""
    return [
        CarriedOver(draft.period, draft.plan_id, draft.tax_percent, -draft.line.amount)
        for draft in drafts
        if draft.line.code == OUT and is_carried(draft)
    ]


def is_carried(draft: InvoiceLineDraft) -> bool:
    """Tell whether a line is what an invoice took over from an earlier one, or left to the next."""
    return draft.line.kind is LineKind.ADJUSTMENT and draft.line.code in {IN, OUT}


@dataclass(slots=True)
class _OfRate:
    plan_id: str
    tax_percent: Decimal | None
    amount: Decimal


def _by_rate(drafts: Iterable[InvoiceLineDraft]) -> list[_OfRate]:
    found: dict[Decimal, _OfRate] = {}
    with exactly():
        for draft in drafts:
            of_rate = found.setdefault(draft.tax_percent or ZERO, _OfRate(draft.plan_id, draft.tax_percent, ZERO))
            of_rate.amount += draft.line.amount
    return [*found.values()]
