"""Undo today's upgrade, as if it had never been."""

from portal import audit
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.plans import store
from portal.plans.changes.keep_change import NOTHING_USED, SCHEDULE, Used, keep_change, lock_situation
from portal.plans.decide_change import UndoDecision, decide_undo
from portal.plans.store import AccountPlan

UNDO = audit.Action("plan.undo_upgrade", "undid the upgrade, back to the plan")


@requires(Permission.PLAN_WRITE)
async def undo_plan_upgrade(tx: Tx, actor: Actor, *, used: Used = NOTHING_USED) -> tuple[AccountPlan, UndoDecision]:
    """Undo the last upgrade of today: plan, version and what was pending are as before.

    Once a period, and only if the units used fit the plan before; else that plan begins with the next period, as the
    decision says. Raises Forbidden, Conflict when there is no upgrade to undo.
    """
    account = await lock_situation(tx, actor.account_id, used)
    decision = decide_undo(account.situation)
    if decision.change is None:
        return await store.get_account_plan(tx, actor.account_id), decision
    action = SCHEDULE if decision.is_downgrade else UNDO
    return await keep_change(tx, actor, account, decision.change, action), decision
