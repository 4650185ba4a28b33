"""Which plan an account was on, when, in a billing period: what every fee, share and bound is computed from. Pure.

What an account chose is kept as changes, in order. `state_after` folds those of a period into a PlanState. Of that the
holdings matter: the plans that the account was put on, one after the other. An upgrade that was undone leaves none, as
if it had never been. A day belongs to the plan at its end, so a plan that was left on the day that it came has no day.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Any

from portal.plans.calendar import AccountPeriod


class ChangeKind(StrEnum):
    """What a change was, by the ranks at the time of the choice."""

    OPENING = "opening"
    UPGRADE = "upgrade"
    UNDO = "undo"
    DOWNGRADE = "downgrade"
    """With the next period: a plan of lower rank, or another version of the same plan."""
    WITHDRAWAL = "withdrawal"
    MOVE_UP = "move_up"
    """By staff, at once, like an upgrade; also any change but to a lower rank that an older process made at once."""
    MOVE_DOWN = "move_down"
    """By staff, at once; also any change to a lower rank that an older process made at once."""


AT_ONCE = frozenset({ChangeKind.OPENING, ChangeKind.UPGRADE, ChangeKind.MOVE_UP, ChangeKind.MOVE_DOWN})


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """One version of a plan, as billing needs it. `quota` None is overage; `tariff` as portal.billing reads it."""

    plan_id: str
    version: int
    rank: int
    name: str
    price: Decimal
    currency: str
    quota: int | None
    is_overage_allowed: bool
    tariff: dict[str, Any]

    @property
    def key(self) -> tuple[str, int]:
        return self.plan_id, self.version

    @property
    def billing_currency(self) -> str | None:
        """Return the currency that an account takes from this plan; None where nothing of it costs anything."""
        return self.currency if self.price or self.tariff else None

    @property
    def hard_quota(self) -> int | None:
        """Return the units of a period that are never exceeded; None with overage."""
        return None if self.is_overage_allowed else self.quota


@dataclass(frozen=True, slots=True)
class PlanChange:
    """A change that was made at `at`, when `used_before` units of the period had been counted.

    `terms`: what the account is on from `takes_effect_at`, which is `at` or the period's end. Of an undo it is the
    plan that it brought back, of a withdrawal the plan that stays; neither is read.
    """

    at: datetime
    kind: ChangeKind
    terms: PlanTerms
    used_before: int
    takes_effect_at: datetime


@dataclass(frozen=True, slots=True)
class Holding:
    """A plan that the account was put on at `at`. `kind` None: the period began with it."""

    terms: PlanTerms
    at: datetime
    kind: ChangeKind | None = None
    used_before: int = 0


@dataclass(frozen=True, slots=True)
class PlanState:
    """What changes led to.

    `pending` is the change that waits for the next period. `before_upgrade` is what an undo of the last holding brings
    back; None where that is no upgrade. `currency` is what the account is billed in: that of the first plan with a fee
    or a tariff that took effect and was not undone; None before.
    """

    holdings: tuple[Holding, ...] = ()
    pending: PlanChange | None = None
    before_upgrade: "PlanState | None" = None
    is_undo_used: bool = False
    currency: str | None = None

    @property
    def terms(self) -> PlanTerms:
        """Return the plan that the account is on. Raises IndexError before the account was opened."""
        return self.holdings[-1].terms

    @property
    def next_terms(self) -> PlanTerms:
        """Return the plan that the next period begins with, if nothing else is chosen."""
        return self.pending.terms if self.pending else self.terms

    def after(self, change: PlanChange) -> "PlanState":
        """Return the state that a change leads to. Raises ValueError for an undo of nothing."""
        if change.kind in AT_ONCE:
            holding = Holding(change.terms, change.at, change.kind, change.used_before)
            before = self if change.kind is ChangeKind.UPGRADE else None
            currency = self.currency or change.terms.billing_currency
            return PlanState((*self.holdings, holding), None, before, self.is_undo_used, currency)
        if change.kind is ChangeKind.UNDO:
            if self.before_upgrade is None:
                raise ValueError(f"there is nothing to undo at {change.at.isoformat()}")
            return replace(self.before_upgrade, is_undo_used=True)
        return replace(self, pending=change if change.kind is ChangeKind.DOWNGRADE else None)


@dataclass(frozen=True, slots=True)
class PeriodHistory:
    """A period, the plan that it began with (None: the account was opened in it), and the changes made within it.

    `start_currency`: what the account was billed in before; None where no plan had cost anything.
    """

    period: AccountPeriod
    start_terms: PlanTerms | None
    changes: tuple[PlanChange, ...] = ()
    start_currency: str | None = None

    @property
    def state(self) -> PlanState:
        """Return what the period's changes led to."""
        state = PlanState(currency=self.start_currency)
        if self.start_terms is not None:
            state = begun_with(self.start_terms, self.period.start, self.start_currency)
        for change in self.changes:
            state = state.after(change)
        return state

    @property
    def next_terms(self) -> PlanTerms:
        """Return the plan that the next period begins with, if nothing else is chosen."""
        return self.state.next_terms

    def with_change(self, change: PlanChange) -> "PeriodHistory":
        return replace(self, changes=(*self.changes, change))

    def until(self, instant: datetime) -> "PeriodHistory":
        """Return the history as it was known just before an instant."""
        return replace(self, changes=tuple(change for change in self.changes if change.at < instant))


def history_of(period: AccountPeriod, changes: Iterable[PlanChange]) -> PeriodHistory:
    """Return a period's history from all changes since the account was opened, in order."""
    state, within = PlanState(), []
    for change in changes:
        if change.at >= period.end:
            break
        if change.at >= period.start:
            within.append(change)
            continue
        if state.pending is not None and state.pending.takes_effect_at <= change.at:
            state = begun_with(state.pending.terms, state.pending.takes_effect_at, state.currency)
        state = state.after(change)
    return PeriodHistory(period, state.next_terms if state.holdings else None, tuple(within), state.currency)


def begun_with(terms: PlanTerms, at: datetime, currency: str | None) -> PlanState:
    """Return the state of a period that begins with this plan, of an account that is billed in this currency."""
    return PlanState((Holding(terms, at),), currency=currency or terms.billing_currency)


@dataclass(frozen=True, slots=True)
class Stretch:
    """All days of one plan version in a period, adjacent or not, and the half-open spans of instants that they are."""

    terms: PlanTerms
    days: tuple[date, ...]
    spans: tuple[tuple[datetime, datetime], ...]


def days_held(history: PeriodHistory) -> list[tuple[Holding, range]]:
    """Return the holdings of a period with the numbers of the days that belong to each, of some none."""
    period, holdings = history.period, history.state.holdings
    first = [0 if holding.kind is None else period.day_number(holding.at) for holding in holdings]
    return [
        (holding, range(start, end))
        for holding, (start, end) in zip(holdings, pairwise([*first, len(period.days)]), strict=True)
    ]


def stretches_of(history: PeriodHistory) -> list[Stretch]:
    """Return the stretches of a period, by their first days. Their days add up to those since the account's opening."""
    period = history.period
    held: dict[tuple[str, int], list[tuple[Holding, range]]] = {}
    for holding, days in days_held(history):
        if days:
            held.setdefault(holding.terms.key, []).append((holding, days))
    return [
        Stretch(
            parts[-1][0].terms,
            tuple(period.days[number] for _, days in parts for number in days),
            _spans(period, [days for _, days in parts]),
        )
        for parts in held.values()
    ]


def _spans(period: AccountPeriod, parts: Sequence[range]) -> tuple[tuple[datetime, datetime], ...]:
    """Return the instants of these days, adjacent ones as one span."""
    joined: list[range] = []
    for days in parts:
        if joined and joined[-1].stop == days.start:
            joined[-1] = range(joined[-1].start, days.stop)
        else:
            joined.append(days)
    return tuple((period.start_of(days.start), period.start_of(days.stop)) for days in joined)
