"""A random history played by the product's pure core, told in the words of the slow calculation."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from fractions import Fraction

from portal.billing.inputs import build_lines
from portal.billing.invoice_lines import UNITS, InvoiceLineDraft, totals
from portal.billing.rate import LineKind
from portal.billing.second_model import (
    CarriedOver,
    InvoiceInputs,
    LateUsage,
    carried_over,
    invoice_inputs,
    is_worth_an_invoice,
    usage_by_stretch,
)
from portal.billing.second_model.carry_over import is_carried
from portal.core.errors import Conflict
from portal.plans import (
    ChangeKind,
    PeriodHistory,
    PlanChange,
    PlanTerms,
    Situation,
    change_fees,
    decide_choice,
    decide_move,
    decide_undo,
    decide_withdrawal,
    fee_ahead,
    first_period,
    history_of,
    next_period,
    quota_bound,
    stretches_of,
)
from tests.billing.oracle.course import Course
from tests.billing.oracle.model import Choice, History, Request, StaffMove, Undo, Version, Withdrawal
from tests.billing.oracle.money import MINOR_DIGITS
from tests.billing.oracle.tariff import write_tariff

PLAN_REQUESTS = (Choice, Undo, Withdrawal, StaffMove)
Told = dict[str, object]


class Played:
    """A history played by the product's pure core. Only its zones are taken from elsewhere."""

    def __init__(self, history: History, course: Course) -> None:
        self.history = history
        self.zones = [month.period.zone for month in course.months]
        self.decisions: list[str] = []
        self.bounds: list[int | None] = []
        self.past: list[PeriodHistory] = []
        opening = _terms(history.opening)
        self.changes = [PlanChange(history.opened_at, ChangeKind.OPENING, opening, 0, history.opened_at)]
        self.now = history_of(first_period(history.opened_at, self.zones[0]), self.changes)
        for request in history.requests:
            while request.at >= self.now.period.end:
                self._next_period()
            if isinstance(request, PLAN_REQUESTS):
                self.decisions.append(self._decide(request))
                self.bounds.append(quota_bound(self.now))
        while len(self.past) < len(self.zones) - 1:
            self._next_period()

    def told(self) -> Told:
        periods = [self._period_told(history) for history in [*self.past, self.now]]
        invoices = self._invoices()
        return {"decisions": self.decisions, "bounds": self.bounds, "periods": periods, "invoices": invoices}

    def _invoices(self) -> list[Told]:
        """Return what is finalized at each of the history's instants."""
        written: list[Told] = []
        carried: list[CarriedOver] = []
        before: datetime | None = None
        for place, until in enumerate(self.history.finalized):
            late = [found for earlier in self.past[:place] for found in self._late(earlier, before, until)]
            period, following = self.past[place], [*self.past, self.now][place + 1].period
            billed_in = period.state.currency or period.next_terms.billing_currency
            inputs = invoice_inputs(period, following, self._units(period, until), late, carried, billed_in)
            drafts = build_lines(inputs)
            if is_worth_an_invoice(inputs, drafts):  # otherwise what was left over waits
                carried = carried_over(drafts)
            written.append(_invoice_told(inputs, drafts))
            before = until
        return written

    def _late(self, earlier: PeriodHistory, before: datetime | None, until: datetime) -> list[LateUsage]:
        assert before is not None
        billed = self._units(earlier, before)
        metered = usage_by_stretch(earlier, self._units(earlier, until))
        return [LateUsage(now, was) for now, was in zip(metered, billed, strict=True) if now.units != was]

    def _units(self, history: PeriodHistory, told_until: datetime) -> list[int]:
        """Return the units of each stretch that were told until an instant."""
        told = [one for one in self.history.usage if one.told_at < told_until]
        return [
            sum(one.units for one in told if any(start <= one.at < end for start, end in stretch.spans))
            for stretch in stretches_of(history)
        ]

    def _period_told(self, history: PeriodHistory) -> Told:
        period, ahead = history.period, history.start_terms
        is_over = history in self.past
        return {
            "name": period.name,
            "ends": (period.start, period.end),
            "days": [(day, period.start_of(number)) for number, day in enumerate(period.days)],
            "fee ahead": None if ahead is None else _minor(fee_ahead(ahead), ahead.currency),
            "stretches": {one.terms.key: len(one.days) for one in stretches_of(history)} if is_over else {},
            "fees": [
                (fee.holding.terms.plan_id, _minor(fee.amount, fee.holding.terms.currency))
                for fee in change_fees(history)
                if fee.amount
            ],
        }

    def _next_period(self) -> None:
        self.past.append(self.now)
        period = next_period(self.now.period, self.zones[len(self.past)])
        self.now = history_of(period, self.changes)

    def _make(self, change: PlanChange) -> None:
        self.changes.append(change)
        assert history_of(self.now.period, self.changes) == self.now.with_change(change)
        self.now = self.now.with_change(change)

    def _decide(self, request: Request) -> str:
        situation = self._situation(request)
        change: PlanChange | None
        try:
            if isinstance(request, Choice):
                change = decide_choice(situation, _terms(request.target))
            elif isinstance(request, StaffMove):
                change = decide_move(situation, _terms(request.target))
            elif isinstance(request, Undo):
                decision = decide_undo(situation)
                change = decision.change
                if decision.is_downgrade:
                    if change:
                        self._make(change)
                    return "downgrade"
            else:
                change = decide_withdrawal(situation)
        except Conflict:
            return "refused"
        if change is None:
            return "nothing"
        self._make(change)
        return change.kind.value.removesuffix("_up").removesuffix("_down")

    def _situation(self, request: Request) -> Situation:
        period, at = self.now.period, request.at
        counted = [one for one in self.history.usage if one.told_at < at and period.start <= one.at < period.end]
        today = period.day_number(at)
        return Situation(
            history=self.now,
            now=at,
            used=sum(one.units for one in counted),
            used_today=sum(one.units for one in counted if period.day_number(one.at) == today),
        )


def _terms(version: Version) -> PlanTerms:
    return PlanTerms(
        plan_id=version.plan,
        version=version.version,
        rank=version.rank,
        name=version.plan,
        price=_decimal(version.fee),
        currency=version.currency,
        quota=version.quota,
        is_overage_allowed=version.quota is None,
        tariff=write_tariff(version.tariff) if version.tariff else {},
    )


def _decimal(value: Fraction) -> Decimal:
    with localcontext(prec=60):
        return Decimal(value.numerator) / Decimal(value.denominator)


def _minor(amount: Decimal, currency: str) -> int:
    return int(amount.scaleb(MINOR_DIGITS[currency]))


def _invoice_told(inputs: InvoiceInputs, drafts: Sequence[InvoiceLineDraft]) -> Told:
    sums = totals(inputs.currency, drafts)
    lines: dict[tuple[object, ...], int] = {}
    for draft in drafts:
        key = (*_named(inputs, draft), Fraction(draft.tax_percent or 0))
        lines[key] = lines.get(key, 0) + _minor(draft.line.amount, inputs.currency)
    return {
        "lines": {key: amount for key, amount in lines.items() if amount},
        "net": _minor(sums.subtotal, inputs.currency),
        "tax": _minor(sums.tax, inputs.currency),
    }


def _named(inputs: InvoiceInputs, draft: InvoiceLineDraft) -> tuple[str, str, str, int | None]:
    """Return what a line is for: kind, period, plan, version."""
    if is_carried(draft):
        return draft.line.code, "", "", None
    if draft.line.kind is LineKind.ADJUSTMENT:
        assert draft.line.code == UNITS
        return "adjustment", draft.period, draft.plan_id, None
    kind = "usage" if draft.fee is None else "change" if draft.period == inputs.period else "ahead"
    return kind, draft.period, draft.plan_id, draft.version
