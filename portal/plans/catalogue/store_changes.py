"""Store what changes of a plan: in a new version what belongs to one, at once what belongs to the plan itself."""

from collections.abc import Mapping
from typing import Any

from portal import audit
from portal.core.actor import Actor
from portal.core.database import Tx
from portal.core.errors import Conflict
from portal.plans import store
from portal.plans.catalogue.plan_document import OF_VERSION
from portal.plans.models import Plan

CHANGE = audit.Action("plan.change", "changed the plan's rank or visibility")


async def store_changes(
    tx: Tx, actor: Actor, version_action: audit.Action, plan: Plan, fields: Mapping[str, Any]
) -> Plan:
    """Store columns of a locked plan that differ, and record which; a new version under `version_action`."""
    changed = [field for field in fields if getattr(plan, field) != fields[field]]
    if not changed:
        return plan
    updated = await store.update_plan(tx, plan, {field: fields[field] for field in changed})
    of_version = [field for field in changed if field in OF_VERSION]
    if of_version:
        details = {"version": updated.version, "changed": of_version}
        await audit.record(tx, actor, version_action, plan.id, slug=plan.slug, **details)
    of_plan = {field: fields[field] for field in changed if field not in OF_VERSION}
    if of_plan:
        await audit.record(tx, actor, CHANGE, plan.id, slug=plan.slug, **of_plan)
    return updated


def check_open(plan: Plan) -> None:
    """Refuse a retired plan. Raises Conflict."""
    if plan.retired_at is not None:
        raise Conflict(f"{plan.name} is retired.", hint="Create another plan.", path=("plan",))
