"""Set what usage costs on a plan, in a new version: accounts that are on the plan keep their prices."""

from typing import Any

from portal import audit
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.core.errors import Conflict
from portal.plans import store
from portal.plans.catalogue.store_changes import check_open
from portal.plans.models import Plan

SET_TARIFF = audit.Action("plan.set_tariff", "set the usage prices of a plan")


@requires(Permission.STAFF)
async def set_tariff(tx: Tx, actor: Actor, name: str, tariff: dict[str, Any]) -> Plan:
    """Set the tariff of a plan, by its slug or id, for who chooses the plan from now on.

    portal.billing has validated it. The same tariff again makes no version. Raises Forbidden, NotFound, Conflict
    (currency, retired).
    """
    plan = await store.lock_plan_called(tx, name)
    check_open(plan)
    if tariff["currency"] != plan.currency:
        raise Conflict(
            f"The tariff is in {tariff['currency']}, and {plan.name} is priced in {plan.currency}.",
            hint=f"Write it in {plan.currency}.",
            path=("tariff",),
        )
    if tariff == plan.tariff:
        return plan
    updated = await store.update_plan(tx, plan, {"tariff": tariff})
    await audit.record(tx, actor, SET_TARIFF, plan.id, slug=plan.slug, version=updated.version)
    return updated
