"""Statements of plans."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from portal.core.database import Tx
from portal.core.errors import NotFound
from portal.plans.models import Plan, Subscription


async def list_plans(tx: Tx) -> list[Plan]:
    """The catalogue in its order; at most 100."""
    return await tx.list(select(Plan).order_by(col(Plan.position), col(Plan.id)).limit(100))


async def get_plan(tx: Tx, plan_id: str) -> Plan:
    plan: Plan | None = await tx.find(select(Plan).where(col(Plan.id) == plan_id))
    if plan is None:
        raise NotFound("There is no such plan.", path=("planId",))
    return plan


async def get_default_plan(tx: Tx) -> Plan:
    plan: Plan | None = await tx.find(select(Plan).where(col(Plan.is_default)))
    if plan is None:
        raise NotFound("The catalogue has no default plan.", hint="Run `portal migrate`.")
    return plan


async def find_subscription(tx: Tx, account_id: str) -> Subscription | None:
    subscription: Subscription | None = await tx.find(
        select(Subscription).where(col(Subscription.account_id) == account_id)
    )
    return subscription


async def upsert_subscription(tx: Tx, account_id: str, plan_id: str) -> Subscription:
    """One row an account, also when two people choose at once: the later one stays."""
    chosen = {"plan_id": plan_id, "started_at": tx.now}
    statement = insert(Subscription).values(account_id=account_id, **chosen)
    stored = statement.on_conflict_do_update(index_elements=["account_id"], set_=chosen).returning(Subscription)
    subscription: Subscription = await tx.find(stored.execution_options(populate_existing=True))
    return subscription
