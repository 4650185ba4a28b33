"""What a choice of a plan would be: at once, with the next period, nothing, or refused. Pure.

The preview and the verbs ask the same functions, so what is shown before the button is what it does.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from portal.core.errors import Conflict
from portal.plans.bounds import included, quota_bound
from portal.plans.calendar import AccountPeriod
from portal.plans.fees import ZERO, charged_price
from portal.plans.history import ChangeKind, PeriodHistory, PlanChange, PlanState, PlanTerms


@dataclass(frozen=True, slots=True)
class Situation:
    """An account at the instant of a choice. Raises ValueError for an instant outside the history's period.

    `used` and `used_today`: the units counted in the period and on the local day so far. `currency`: what the account
    is billed in, where the history does not say: None as long as no plan of it had a fee or a tariff.
    """

    history: PeriodHistory
    now: datetime
    used: int
    used_today: int
    currency: str | None = None

    def __post_init__(self) -> None:
        if not self.period.start <= self.now < self.period.end:
            raise ValueError(f"{self.now.isoformat()} is not in the period {self.period.name}")

    @property
    def period(self) -> AccountPeriod:
        return self.history.period

    def change(self, kind: ChangeKind, terms: PlanTerms, *, with_next_period: bool = False) -> PlanChange:
        return PlanChange(self.now, kind, terms, self.used, self.period.end if with_next_period else self.now)


@dataclass(frozen=True, slots=True)
class UndoDecision:
    """`change` is None when the downgrade that an undo would be is pending already.

    `is_downgrade`: it does not undo but puts the account down with the next period, since the period's one undo was
    used (`is_undo_used`), or what was used does not fit the old plan.
    """

    change: PlanChange | None
    is_downgrade: bool = False
    is_undo_used: bool = False


def decide_choice(situation: Situation, terms: PlanTerms, *, is_offered: bool = True) -> PlanChange | None:
    """Return what choosing a plan would be: an upgrade, a downgrade or a withdrawal; None when nothing changes.

    `is_offered` False: the plan takes no new accounts, or none that choose it themselves. Raises Conflict.
    """
    state = situation.history.state
    current = state.terms
    if terms.key == current.key:
        return decide_withdrawal(situation)
    if terms.key == state.next_terms.key:
        return None
    if not is_offered and terms.plan_id != current.plan_id:
        raise Conflict(f"{terms.name} takes no new accounts.", hint="Choose another plan.", path=("planId",))
    _check_currency(situation, terms)
    if terms.plan_id == current.plan_id or terms.rank < current.rank:
        return situation.change(ChangeKind.DOWNGRADE, terms, with_next_period=True)
    _check_usage_of_today(situation, terms)
    return situation.change(ChangeKind.UPGRADE, terms)


def decide_withdrawal(situation: Situation) -> PlanChange | None:
    """Return the withdrawal of what is pending; None where nothing is."""
    state = situation.history.state
    return None if state.pending is None else situation.change(ChangeKind.WITHDRAWAL, state.terms)


def decide_undo(situation: Situation) -> UndoDecision:
    """Return what undoing the last upgrade would be. Raises Conflict when there was none today."""
    state, before = situation.history.state, undoable_upgrade(situation)
    if before is None:
        raise Conflict(
            "There is no upgrade of today to undo.",
            hint="Choose the plan you want: a lower one begins with the next period.",
        )
    bound = quota_bound(situation.history.until(state.holdings[-1].at))
    if not state.is_undo_used and (bound is None or situation.used <= bound):
        return UndoDecision(situation.change(ChangeKind.UNDO, before.terms))
    downgrade = situation.change(ChangeKind.DOWNGRADE, before.terms, with_next_period=True)
    is_pending = state.next_terms.key == before.terms.key
    return UndoDecision(None if is_pending else downgrade, is_downgrade=True, is_undo_used=state.is_undo_used)


def undoable_upgrade(situation: Situation) -> PlanState | None:
    """Return what was before the last upgrade, if that was made on this local day and nothing came over it."""
    state, period = situation.history.state, situation.period
    is_today = period.day_number(state.holdings[-1].at) == period.day_number(situation.now)
    return state.before_upgrade if is_today else None


def decide_move(situation: Situation, terms: PlanTerms, *, has_credit_notes: bool = False) -> PlanChange | None:
    """Return what it would be if staff moved the account to a plan at once; None when it is on it already.

    A move down gives back what the days left were charged. Of a fee ahead, which is invoiced already, only a credit
    note can give back. Raises Conflict where there are none, for another currency or another version of the same plan,
    and as an upgrade would be refused.
    """
    current = situation.history.state.terms
    if terms.key == current.key:
        return None
    if terms.plan_id == current.plan_id:
        raise Conflict(
            f"Another version of {terms.name} begins with the next period.",
            hint=f"Choose {terms.name} for the account.",
            path=("planId",),
        )
    _check_currency(situation, terms)
    if terms.rank < current.rank:
        if not has_credit_notes and terms.price < _price_invoiced(situation.history):
            raise Conflict(
                f"{current.name} is paid until the end of the period, and there are no credit notes to give it back.",
                hint=f"Choose {terms.name} from the next period on.",
                path=("planId",),
            )
        return situation.change(ChangeKind.MOVE_DOWN, terms)
    _check_usage_of_today(situation, terms)
    return situation.change(ChangeKind.MOVE_UP, terms)


def _price_invoiced(history: PeriodHistory) -> Decimal:
    """Return how much of the price of the days left was charged ahead: openings and upgrades are not invoiced yet."""
    ahead = ZERO if history.start_terms is None else history.start_terms.price
    return min(ahead, charged_price(history))


def _check_currency(situation: Situation, terms: PlanTerms) -> None:
    currency = situation.currency or situation.history.state.currency
    if currency not in (None, terms.currency):
        raise Conflict(
            f"{terms.name} is priced in {terms.currency}, and this account is billed in {currency}.",
            hint=f"Choose a plan in {currency}, or open another account.",
            path=("planId",),
        )


def _check_usage_of_today(situation: Situation, terms: PlanTerms) -> None:
    """Refuse a hard quota to who used more today, with overage, than it would bring: today would cost too little."""
    quota, period = terms.hard_quota, situation.period
    if quota is None or situation.history.state.terms.hard_quota is not None:
        return
    days = len(period.days)
    share = included(quota, days - period.day_number(situation.now), days)
    if situation.used_today > share:
        raise Conflict(
            f"Today's {situation.used_today:,} units are more than the {share:,} that {terms.name} would bring"
            " for the rest of the period.",
            hint="Choose it tomorrow.",
            path=("planId",),
        )
