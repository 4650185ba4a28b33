"""On random histories the product decides, bounds and charges what the slow calculation says, to the minor unit."""

import os
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest

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
    next_period,
    quota_bound,
    stretches_of,
)
from tests.billing.oracle.course import Course
from tests.billing.oracle.generate import random_history
from tests.billing.oracle.model import (
    Choice,
    History,
    Request,
    StaffMove,
    Undo,
    Version,
    Withdrawal,
)
from tests.billing.oracle.money import MINOR_DIGITS, to_minor
from tests.billing.oracle.state import Month

PLAN_REQUESTS = (Choice, Undo, Withdrawal, StaffMove)
COUNT = 10_000 if os.environ.get("PORTAL_FAULTS") == "long" else 200
CHUNK = 20


@pytest.mark.parametrize("first", range(0, COUNT, CHUNK))
def test_plans_over_time(first: int) -> None:
    for seed in range(first, first + CHUNK):
        history = random_history(seed)
        course = Course(history)
        assert Played(history, course).told() == told(course), f"seed {seed}"


Told = dict[str, object]


def told(course: Course) -> Told:
    """Return what the slow calculation says, in the words in which `Played` answers."""
    decided = [one for one in course.decisions if isinstance(one.request, PLAN_REQUESTS)]
    return {
        "decisions": [one.outcome for one in decided],
        "bounds": [one.bound for one in decided],
        "periods": [_month_told(month) for month in course.months],
    }


def _month_told(month: Month) -> Told:
    period, ahead = month.period, month.begins_with
    return {
        "name": period.name,
        "ends": (period.start, period.end),
        "days": [(day.date, day.start) for day in period.days],
        "fee ahead": None if ahead is None else to_minor(ahead.fee, ahead.currency),
        "stretches": {(version.plan, version.version): days for version, days in month.stretches().items()},
        "fees": [(line.version.plan, line.amount) for line in month.fees if line.amount],
    }


class Played:
    """A history played by the product's pure core. Only zones and the account's currency are taken from elsewhere."""

    def __init__(self, history: History, course: Course) -> None:
        self.history = history
        self.zones = [month.period.zone for month in course.months]
        self.versions: dict[tuple[str, int], Version] = {}
        self.decisions: list[str] = []
        self.bounds: list[int | None] = []
        self.past: list[PeriodHistory] = []
        self.currency: str | None = None
        opening = PlanChange(history.opened_at, ChangeKind.OPENING, self._terms(history.opening), 0, history.opened_at)
        self.now = PeriodHistory(first_period(history.opened_at, self.zones[0]), None, (opening,))
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
        return {"decisions": self.decisions, "bounds": self.bounds, "periods": periods}

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
        self.currency = self._billed_in()
        self.past.append(self.now)
        period = next_period(self.now.period, self.zones[len(self.past)])
        self.now = PeriodHistory(period, self.now.next_terms)

    def _decide(self, request: Request) -> str:
        situation = self._situation(request)
        change: PlanChange | None
        try:
            if isinstance(request, Choice):
                change = decide_choice(situation, self._terms(request.target))
            elif isinstance(request, StaffMove):
                change = decide_move(situation, self._terms(request.target))
            elif isinstance(request, Undo):
                decision = decide_undo(situation)
                change = decision.change
                if decision.is_downgrade:
                    self.now = self.now.with_change(change) if change else self.now
                    return "downgrade"
            else:
                change = decide_withdrawal(situation)
        except Conflict:
            return "refused"
        if change is None:
            return "nothing"
        self.now = self.now.with_change(change)
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
            currency=self._billed_in(),
        )

    def _terms(self, version: Version) -> PlanTerms:
        self.versions[version.plan, version.version] = version
        return PlanTerms(
            plan_id=version.plan,
            version=version.version,
            rank=version.rank,
            name=version.plan,
            price=_decimal(version.fee),
            currency=version.currency,
            quota=version.quota,
            is_overage_allowed=version.quota is None,
            tariff={},
        )

    def _billed_in(self) -> str | None:
        """Return the currency of the first plan with a fee or a tariff, as the account's row keeps it."""
        held = [self.versions[holding.terms.key] for holding in self.now.state.holdings]
        return self.currency or next((one.currency for one in held if one.fee or one.tariff), None)


def _decimal(value: Fraction) -> Decimal:
    with localcontext(prec=60):
        return Decimal(value.numerator) / Decimal(value.denominator)


def _minor(amount: Decimal, currency: str) -> int:
    return int(amount.scaleb(MINOR_DIGITS[currency]))
