"""Lines of fees: of the period's changes, and the one ahead.

Each line of a change is the exact sum of the period's fees so far, rounded, less the lines before it: lines never
drift away from the exact sum, however many there are.
"""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from portal.billing.decimals import ZERO
from portal.billing.invoice_lines import ChargedDays, InvoiceLineDraft
from portal.billing.rate import Line, LineKind
from portal.billing.second_model.inputs import AHEAD, PlanFee
from portal.billing.second_model.words import days_in_words, price_in_words
from portal.core.money import Money, exactly
from portal.plans import ChangeKind

CALLED = {
    AHEAD: "{plan}, {days}",
    ChangeKind.OPENING: "{plan}, {days}",
    ChangeKind.UPGRADE: "Upgrade to {plan}, {days}",
    ChangeKind.MOVE_UP: "Change to {plan}, {days}",
    ChangeKind.MOVE_DOWN: "Change to {plan}, {days}",
}


def change_fee_lines(fees: Iterable[PlanFee], currency: str) -> list[InvoiceLineDraft]:
    """Return a line for each change of the period."""
    exact, lines = Fraction(0), ZERO
    drafts = []
    for fee in fees:
        if fee.kind == AHEAD:
            continue
        exact += _exact(fee)
        with exactly():
            amount = _rounded(exact, currency) - lines
            lines += amount
        drafts.append(_draft(fee, currency, amount))
    return drafts


def ahead_fee_lines(fees: Iterable[PlanFee], currency: str) -> list[InvoiceLineDraft]:
    """Return the line of the next period's fee, if it has one."""
    return [_draft(fee, currency, _rounded(_exact(fee), currency)) for fee in fees if fee.kind == AHEAD]


def _exact(fee: PlanFee) -> Fraction:
    difference = Fraction(fee.price) - Fraction(fee.charged_price)
    return (min(Fraction(0), difference) if fee.is_credit else max(Fraction(0), difference)) * fee.days / fee.of_days


def _rounded(exact: Fraction, currency: str) -> Decimal:
    with exactly():
        return Money(Decimal(exact.numerator) / Decimal(exact.denominator), currency).rounded().amount


def _draft(fee: PlanFee, currency: str, amount: Decimal) -> InvoiceLineDraft:
    words = CALLED[fee.kind].format(plan=fee.plan, days=days_in_words(fee.first, fee.last))
    with exactly():
        price = fee.price - fee.charged_price
    if fee.days != fee.of_days or fee.charged_price:
        before = f" - {price_in_words(fee.charged_price, currency)}" if fee.charged_price else ""
        factor = price_in_words(fee.price, currency) + before
        words += f": {f'({factor})' if before else factor} × {fee.days}/{fee.of_days}"
    line = Line(LineKind.FEE, "plan", words, None, amount)
    return InvoiceLineDraft(
        line, fee.period, fee.plan_id, fee.tax_percent, ChargedDays(fee.plan, price, fee.first, fee.last), fee.version
    )
