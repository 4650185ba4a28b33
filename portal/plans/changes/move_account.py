"""Move an account to a plan at once, whichever way: by staff."""

from portal import audit
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.plans import store
from portal.plans.catalogue import check_may_choose
from portal.plans.changes.keep_change import NOTHING_USED, Used, keep_change, lock_situation
from portal.plans.changes.load_history import terms_of
from portal.plans.decide_change import decide_move
from portal.plans.store import AccountPlan

MOVE = audit.Action("account.move", "moved the account to the plan")


@requires(Permission.STAFF)
async def move_account(tx: Tx, actor: Actor, plan_id: str, *, used: Used = NOTHING_USED) -> AccountPlan:
    """Put the account for which staff act on the newest version of a plan, at once; idempotent.

    What was pending is dropped, and an upgrade of today cannot be undone any more. Raises Forbidden, NotFound, Conflict
    (retired, another currency, or a fee ahead that would have to be given back).
    """
    plan = await store.get_plan(tx, plan_id)
    account = await lock_situation(tx, actor.account_id, used)
    terms = account.terms if plan.id == account.terms.plan_id else terms_of(plan)
    change = decide_move(account.situation, terms)
    if change is None:
        return await store.get_account_plan(tx, actor.account_id)
    check_may_choose(actor, plan)
    return await keep_change(tx, actor, account, change, MOVE)
