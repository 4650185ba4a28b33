"""Retire a plan: no account comes to it any more. Those that are on it stay."""

from portal import audit
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.core.errors import Conflict
from portal.plans import store
from portal.plans.models import Plan

RETIRE = audit.Action("plan.retire", "retired the plan")


@requires(Permission.STAFF)
async def retire_plan(tx: Tx, actor: Actor, name: str) -> Plan:
    """Retire a plan, by its slug or id. Idempotent.

    Raises Forbidden, NotFound, Conflict for the default plan, which new accounts get.
    """
    plan = await store.lock_plan_called(tx, name)
    if plan.retired_at is not None:
        return plan
    if plan.is_default:
        raise Conflict(
            f"{plan.name} is the plan that new accounts start on.", hint="Retire another plan.", path=("plan",)
        )
    updated = await store.update_plan(tx, plan, {"retired_at": tx.now})
    await audit.record(tx, actor, RETIRE, plan.id, slug=plan.slug)
    return updated
