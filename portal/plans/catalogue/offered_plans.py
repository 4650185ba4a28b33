"""Which plans an account may choose by itself: public ones that are not retired, and the one that it is on."""

from portal.core.actor import Actor, Permission
from portal.core.database import Tx
from portal.core.errors import Conflict, NotFound
from portal.plans import store
from portal.plans.models import Plan

PUBLIC = "public"


def is_offered(plan: Plan) -> bool:
    """Return whether any account may choose the plan."""
    return plan.visibility == PUBLIC and plan.retired_at is None


async def list_offered_plans(tx: Tx) -> list[Plan]:
    """Return what any account may choose, in its newest versions and in display order."""
    return [plan for plan in await store.list_plans(tx) if is_offered(plan)]


async def get_visible_plan(tx: Tx, actor: Actor, plan_id: str) -> Plan:
    """Return a plan that the actor may know of: one on offer, that of the account, for staff any. Raises NotFound."""
    plan = await store.get_plan(tx, plan_id)
    if is_offered(plan) or actor.may(Permission.STAFF):
        return plan
    current = (await store.get_account_plan(tx, actor.account_id)).plan
    if current.id != plan_id:
        raise NotFound("There is no such plan.", path=("planId",))
    return current


def check_may_choose(actor: Actor, plan: Plan) -> None:
    """Refuse a plan that is not on offer; one that only staff give answers like a missing one.

    Raises NotFound, Conflict.
    """
    if plan.visibility == "staff" and not actor.may(Permission.STAFF):
        raise NotFound("There is no such plan.", path=("planId",))
    if plan.visibility != PUBLIC and not actor.may(Permission.STAFF):
        raise Conflict(f"{plan.name} is given by approval.", hint="Ask the provider for it.", path=("planId",))
    if plan.retired_at is not None:
        raise Conflict(f"{plan.name} is not sold any more.", hint="Choose another plan.", path=("planId",))
