"""What plans cost in a period: the fee ahead, and the fees of an opening, of upgrades and of staff moves. Pure.

A fee of a change: max(0, new price - dearest price already charged for the days left) x days left, today included,
/ days of the period. Each line is the exact sum of the period's fees so far, rounded, less the lines before it: so
lines never drift away from the exact sum, however many there are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise

from portal.core.money import Money, exactly
from portal.plans.history import ChangeKind, Holding, PeriodHistory, PlanChange, PlanTerms

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class ChangeFee:
    """The line of a change: (`price` - `charged_price`) x `days` / `of_days`, for the days `first` to `last`.

    `charged_price` is the dearest price that had been charged for these days. `amount` is rounded to minor units, and
    negative when staff moved the account to a plan that costs less.
    """

    holding: Holding
    charged_price: Decimal
    days: int
    of_days: int
    first: date
    last: date
    amount: Decimal

    @property
    def price(self) -> Decimal:
        return self.holding.terms.price


def fee_ahead(terms: PlanTerms) -> Decimal:
    """Return what a period that begins with this plan costs, due at its first instant."""
    return _rounded(terms.price, terms.currency)


def change_fees(history: PeriodHistory) -> list[ChangeFee]:
    """Return the lines of a period's changes, one each; none where neither plan costs anything."""
    period, days = history.period, history.period.days
    holdings = history.state.holdings
    exact, lines = ZERO, ZERO  # `exact` is in price x days
    fees = []
    for holding, (before, after) in zip(holdings, pairwise(_charged_prices(holdings)), strict=True):
        if holding.kind is None or not (before or holding.terms.price):
            continue
        number = period.day_number(holding.at)
        left = len(days) - number
        with exactly():
            exact += (after - before) * left
            amount = _rounded(exact / len(days), holding.terms.currency) - lines
            lines += amount
        fees.append(ChangeFee(holding, before, left, len(days), days[number], days[-1], amount))
    return fees


def charged_price(history: PeriodHistory) -> Decimal:
    """Return the dearest price that the days left of a period have been charged."""
    return _charged_prices(history.state.holdings)[-1]


def _charged_prices(holdings: Iterable[Holding]) -> list[Decimal]:
    """Return the dearest price charged before the first holding, which is 0, and after each."""
    prices = [ZERO]
    for holding in holdings:
        dearest = min if holding.kind is ChangeKind.MOVE_DOWN else max
        prices.append(dearest(prices[-1], holding.terms.price))
    return prices


def fees_so_far(history: PeriodHistory) -> Decimal:
    """Return the sum of the lines of a period's changes."""
    with exactly():
        return sum((fee.amount for fee in change_fees(history)), ZERO)


def cost_of_change(history: PeriodHistory, change: PlanChange) -> Decimal:
    """Return what a change adds to the period's fees: below 0 for an undo, 0 for what waits for the next period."""
    with exactly():
        return fees_so_far(history.with_change(change)) - fees_so_far(history)


def _rounded(amount: Decimal, currency: str) -> Decimal:
    return Money(amount, currency).rounded().amount
