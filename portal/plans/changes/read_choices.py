"""Read stored choices as changes, those of processes that knew no kinds too. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from portal.plans.calendar import AccountPeriod
from portal.plans.history import (
    ChangeKind,
    Holding,
    PeriodHistory,
    PlanChange,
    PlanState,
    PlanTerms,
    begun_with,
    history_of,
)
from portal.plans.models import PlanChoice

ChoiceTerms = tuple[PlanChoice, PlanTerms, PlanTerms | None]
"""A choice, the terms of the plan that the account is on from then on, and of the one that waits."""


def changes_of(opening: PlanChange, choices: Iterable[ChoiceTerms]) -> list[PlanChange]:
    """Return an account's changes in order: its opening, then each choice.

    A choice without a kind was at once: it is read as a move by staff, up or down by the ranks.
    """
    changes = [opening]
    state = PlanState().after(opening)
    for choice, terms, following in choices:
        if state.pending is not None and state.pending.takes_effect_at <= choice.chosen_at:
            state = begun_with(state.pending.terms, state.pending.takes_effect_at, state.currency)
        change = _possible(_change(choice, terms, following), state)
        changes.append(change)
        state = state.after(change)
    return changes


def history_in(period: AccountPeriod, changes: Iterable[PlanChange]) -> PeriodHistory:
    """Return the history of a period from all changes since the opening."""
    whole = history_of(period, changes)
    history = replace(whole, changes=())
    for change in whole.changes:
        state = history.state if history.start_terms or history.changes else PlanState()
        history = history.with_change(_possible(change, state))
    return history


def plans_held(changes: Iterable[PlanChange]) -> tuple[list[Holding], Holding | None]:
    """Return every plan that was held since the opening, in order, none that was undone; and the one that waits."""
    state, before = PlanState(), list[Holding]()
    for change in changes:
        if state.pending is not None and state.pending.takes_effect_at <= change.at:
            before += state.holdings
            state = begun_with(state.pending.terms, state.pending.takes_effect_at, state.currency)
        state = state.after(change)
    held = [*before, *state.holdings]
    return held, None if state.pending is None else Holding(state.pending.terms, state.pending.takes_effect_at)


def _change(choice: PlanChoice, terms: PlanTerms, following: PlanTerms | None) -> PlanChange:
    kind = ChangeKind(choice.kind) if choice.kind else None
    at, used = choice.chosen_at, choice.used_before or 0
    if kind is ChangeKind.DOWNGRADE and following is not None and choice.takes_effect_at is not None:
        return PlanChange(at, kind, following, used, choice.takes_effect_at)
    return PlanChange(at, kind or ChangeKind.MOVE_UP, terms, used, at)


def _possible(change: PlanChange, state: PlanState) -> PlanChange:
    """Return the change as what it was where it came: a move by the ranks where its kind is not known or cannot be.

    An undo has nothing to undo where a process that knew none came between the upgrade and it.
    """
    is_undo_of_nothing = change.kind is ChangeKind.UNDO and state.before_upgrade is None
    if not state.holdings or not (change.kind is ChangeKind.MOVE_UP or is_undo_of_nothing):
        return change
    is_down = change.terms.rank < state.terms.rank
    return replace(change, kind=ChangeKind.MOVE_DOWN if is_down else ChangeKind.MOVE_UP)
