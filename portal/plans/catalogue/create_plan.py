"""Create a plan, in its first version."""

from collections.abc import Mapping
from typing import Any

from portal import audit
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.core.errors import Conflict
from portal.core.ids import new_id
from portal.plans import store
from portal.plans.catalogue.plan_document import parse_plan
from portal.plans.models import Plan

CREATE = audit.Action("plan.create", "created a plan")


@requires(Permission.STAFF)
async def create_plan(tx: Tx, actor: Actor, document: Mapping[str, Any]) -> Plan:
    """Create the plan that a document describes; without a rank it comes after all others.

    The tariff in it has been validated by portal.billing. Raises Forbidden, Invalid, Conflict (slug or rank taken, too
    many plans).
    """
    fields = parse_plan(document)
    known = await store.lock_plans(tx)
    if len(known) >= store.MAX_PLANS:
        raise Conflict(f"There are {len(known)} plans, as many as there may be.", hint="Add a version to one of them.")
    if any(plan.slug == fields["slug"] for plan in known):
        raise Conflict(
            f"There is a plan {fields['slug']} already.",
            hint="Add a version to it, or take another slug.",
            path=("slug",),
        )
    if fields["rank"] is None:
        fields["rank"] = max((plan.rank or 0 for plan in known), default=0) + 1
    check_rank_is_free(known, fields["rank"])
    position = max((plan.position for plan in known), default=-1) + 1
    plan = await tx.insert(Plan(id=new_id("plan"), position=position, created_at=tx.now, **fields))
    await audit.record(tx, actor, CREATE, plan.id, slug=plan.slug)
    return plan


def check_rank_is_free(known: list[Plan], rank: int, plan_id: str | None = None) -> None:
    """Refuse a rank that another plan has. Raises Conflict."""
    holder = next((plan for plan in known if plan.rank == rank and plan.id != plan_id), None)
    if holder is not None:
        taken = ", ".join(f"{plan.slug} {plan.rank}" for plan in known)
        raise Conflict(f"{holder.name} has the rank {rank}.", hint=f"Taken are {taken}.", path=("rank",))
