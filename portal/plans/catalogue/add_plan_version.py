"""Add a version of a plan: what it is sold as from now on. Accounts that are on another version keep it."""

from collections.abc import Mapping
from typing import Any

from portal import audit
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.core.errors import Invalid
from portal.plans import store
from portal.plans.catalogue.create_plan import check_rank_is_free
from portal.plans.catalogue.plan_document import parse_plan, plan_document
from portal.plans.catalogue.store_changes import check_open, store_changes
from portal.plans.models import Plan

ADD_VERSION = audit.Action("plan.add_version", "added a version of the plan")


@requires(Permission.STAFF)
async def add_plan_version(tx: Tx, actor: Actor, name: str, changes: Mapping[str, Any]) -> Plan:
    """Change fields of a plan's document; return the plan, in a new version unless only rank or visibility changed.

    Rank and visibility belong to the plan and apply at once. The tariff has been validated by portal.billing. What
    changes nothing makes no version. Raises Forbidden, NotFound, Invalid, Conflict (retired, rank taken).
    """
    plan = await store.lock_plan_called(tx, name)
    check_open(plan)
    document = plan_document(plan)
    for fixed in ("slug", "currency"):
        if changes.get(fixed, document[fixed]) != document[fixed]:
            raise Invalid(f"A plan keeps its {fixed}.", hint="Create another plan.", path=(fixed,))
    fields = parse_plan(document | dict(changes))
    if fields["rank"] is None:
        fields["rank"] = plan.rank
    elif fields["rank"] != plan.rank:
        check_rank_is_free(await store.lock_plans(tx), fields["rank"], plan.id)
    return await store_changes(tx, actor, ADD_VERSION, plan, fields)
