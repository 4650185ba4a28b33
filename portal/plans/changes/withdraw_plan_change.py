"""Withdraw the change of plan that waits for the next billing month."""

from portal import audit
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.plans import store
from portal.plans.changes.keep_change import keep_change, lock_situation
from portal.plans.decide_change import decide_withdrawal
from portal.plans.store import AccountPlan

WITHDRAW = audit.Action("plan.withdraw_change", "withdrew the change and keeps the plan")


@requires(Permission.PLAN_WRITE)
async def withdraw_plan_change(tx: Tx, actor: Actor) -> AccountPlan:
    """Keep the present plan. Idempotent: nothing need be pending. Raises Forbidden."""
    account = await lock_situation(tx, actor.account_id)
    change = decide_withdrawal(account.situation)
    if change is None:
        return await store.get_account_plan(tx, actor.account_id)
    return await keep_change(tx, actor, account, change, WITHDRAW)
