"""Choose a plan: one of higher rank begins at once, one of lower rank with the next period."""

from portal import audit
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.core.errors import Conflict
from portal.plans import store
from portal.plans.catalogue import check_may_choose
from portal.plans.changes.keep_change import NOTHING_USED, SCHEDULE, Used, keep_change, lock_situation
from portal.plans.changes.load_history import terms_of
from portal.plans.changes.withdraw_plan_change import WITHDRAW
from portal.plans.decide_change import decide_choice
from portal.plans.history import ChangeKind, PlanState, PlanTerms
from portal.plans.models import Plan
from portal.plans.store import AccountPlan

SUBSCRIBE = audit.Action("plan.subscribe", "switched to the plan")
ACTIONS = {ChangeKind.UPGRADE: SUBSCRIBE, ChangeKind.DOWNGRADE: SCHEDULE, ChangeKind.WITHDRAWAL: WITHDRAW}


@requires(Permission.PLAN_WRITE)
async def subscribe(
    tx: Tx, actor: Actor, plan_id: str, version: int | None = None, *, used: Used = NOTHING_USED
) -> AccountPlan:
    """Choose a plan in its newest version; the plan that the account is on withdraws what is pending.

    `version` is the one that was shown: another one is refused. A choice that changes nothing is stored nowhere.
    Raises Forbidden, NotFound, Conflict.
    """
    plan = await store.get_plan(tx, plan_id)
    account = await lock_situation(tx, actor.account_id, used)
    terms = chosen_terms(actor, plan, version, account.situation.history.state)
    change = decide_choice(account.situation, terms)
    if change is None:
        return await store.get_account_plan(tx, actor.account_id)
    return await keep_change(tx, actor, account, change, ACTIONS[change.kind])


def chosen_terms(actor: Actor, plan: Plan, version: int | None, state: PlanState) -> PlanTerms:
    """Return what a choice of a plan is about: the version that the account has, if it is on it and named no other.

    Raises NotFound, Conflict.
    """
    if plan.id == state.terms.plan_id and version in (None, state.terms.version):
        return state.terms
    if (plan.id, plan.version) != state.next_terms.key and plan.id != state.terms.plan_id:
        check_may_choose(actor, plan)
    if version not in (None, plan.version):
        raise Conflict(
            f"{plan.name} is sold in another version since.",
            hint=f"Look at version {plan.version}, then choose it.",
            path=("version",),
        )
    return terms_of(plan)
