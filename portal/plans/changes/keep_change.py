"""Lock an account for a choice, and store what was decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from portal import audit
from portal.accounts import Account, bump_policy_version, lock_account
from portal.core.actor import Actor
from portal.core.database import Tx
from portal.plans import store
from portal.plans.changes.load_history import MOMENT, load_changes
from portal.plans.changes.read_choices import history_in, plans_held
from portal.plans.decide_change import Situation
from portal.plans.history import ChangeKind, PlanChange, PlanTerms
from portal.plans.models import PlanChoice
from portal.plans.periods import load_period_at
from portal.plans.store import AccountPlan

SCHEDULE = audit.Action("plan.schedule", "chose the plan for the next billing month")
"""Of a choice, or of an undo that is a downgrade."""


@dataclass(frozen=True, slots=True)
class Used:
    """Units that were counted in the current period so far, and how many of them today, in the account's time zone."""

    in_period: int = 0
    today: int = 0


NOTHING_USED = Used()


@dataclass(frozen=True, slots=True)
class LockedAccount:
    """An account for which nobody else chooses until the transaction's end; `changes` are all of its."""

    changes: Sequence[PlanChange]
    situation: Situation

    @property
    def terms(self) -> PlanTerms:
        return self.situation.history.state.terms


async def load_situation(tx: Tx, account: Account, used: Used) -> Situation:
    """Return an account's situation now, to show what a choice would be."""
    return (await _read(tx, account, used)).situation


async def lock_situation(tx: Tx, account_id: str, used: Used = NOTHING_USED) -> LockedAccount:
    """Lock an account for a choice."""
    return await _read(tx, await lock_account(tx, account_id), used)


async def _read(tx: Tx, account: Account, used: Used) -> LockedAccount:
    changes = await load_changes(tx, account)
    # A clock that went back, or two choices in one transaction, change nothing about which one is the later.
    now = max(tx.now, changes[-1].at + MOMENT)
    history = history_in(await load_period_at(tx, account, now), changes)
    currency = history.state.terms.currency
    return LockedAccount(changes, Situation(history, now, used.in_period, used.today, currency))


async def keep_change(
    tx: Tx, actor: Actor, account: LockedAccount, change: PlanChange, action: audit.Action
) -> AccountPlan:
    """Store a change that was decided. Checks from the commit on go by it."""
    state = account.situation.history.with_change(change).state
    pending = state.pending
    await store.insert_choice(
        tx,
        PlanChoice(
            account_id=actor.account_id,
            chosen_at=change.at,
            plan_id=state.terms.plan_id,
            version=state.terms.version,
            kind=change.kind.value,
            used_before=change.used_before,
            takes_effect_at=change.takes_effect_at if pending is None else pending.takes_effect_at,
            plan_since=_plan_since([*account.changes, change]),
            next_plan_id=None if pending is None else pending.terms.plan_id,
            next_version=None if pending is None else pending.terms.version,
        ),
    )
    plan = await store.get_plan(tx, change.terms.plan_id)
    await audit.record(tx, actor, action, actor.account_id, plan=plan.slug, version=change.terms.version)
    await bump_policy_version(tx, actor.account_id)
    return await store.get_account_plan(tx, actor.account_id)


def _plan_since(changes: Sequence[PlanChange]) -> datetime | None:
    """Return when the account came to the plan that it is on; None where it was opened on it."""
    held, _ = plans_held(changes)
    return None if held[-1].kind is ChangeKind.OPENING else held[-1].at
