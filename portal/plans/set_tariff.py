"""Set what usage costs on a plan, from the month on that is not billed yet."""

from typing import Any

from portal import audit
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.core.errors import Conflict
from portal.plans import store
from portal.plans.models import Plan

SET_TARIFF = audit.Action("plan.set_tariff", "set the usage prices of a plan")


@requires(Permission.STAFF)
async def set_tariff(tx: Tx, actor: Actor, slug: str, tariff: dict[str, Any]) -> Plan:
    """Set a plan's tariff, which portal.billing has validated. Raises Forbidden, NotFound, Conflict (currency)."""
    plan = await store.lock_plan_called(tx, slug)
    if tariff["currency"] != plan.currency:
        raise Conflict(
            f"The tariff is in {tariff['currency']}, and {plan.name} is priced in {plan.currency}.",
            hint=f"Write it in {plan.currency}.",
            path=("tariff",),
        )
    plan.tariff = tariff
    await tx.flush()
    await audit.record(tx, actor, SET_TARIFF, plan.id, slug=plan.slug)
    return plan
