"""Statements of plans."""

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from portal.core.database import Tx
from portal.core.errors import NotFound
from portal.plans.models import Plan, Subscription

SUBSCRIPTIONS_MOST = 10_000


async def list_plans(tx: Tx) -> list[Plan]:
    """The catalogue in its order; at most 100."""
    return await tx.list(select(Plan).order_by(col(Plan.position), col(Plan.id)).limit(100))


async def get_plan(tx: Tx, plan_id: str) -> Plan:
    plan: Plan | None = await tx.find(select(Plan).where(col(Plan.id) == plan_id))
    if plan is None:
        raise NotFound("There is no such plan.", path=("planId",))
    return plan


async def get_plan_called(tx: Tx, slug: str) -> Plan:
    """The plan by its name for programs."""
    return await _called(tx, select(Plan).where(col(Plan.slug) == slug))


async def lock_plan_called(tx: Tx, slug: str) -> Plan:
    return await _called(tx, select(Plan).where(col(Plan.slug) == slug).with_for_update())


async def get_default_plan(tx: Tx) -> Plan:
    plan: Plan | None = await tx.find(select(Plan).where(col(Plan.is_default)))
    if plan is None:
        raise NotFound("The catalogue has no default plan.", hint="Run `portal migrate`.")
    return plan


async def find_subscription(tx: Tx, account_id: str) -> Subscription | None:
    """The newest."""
    subscription: Subscription | None = await tx.find(_subscriptions(account_id).limit(1))
    return subscription


async def list_subscriptions(tx: Tx, account_id: str) -> list[Subscription]:
    """All that the account ever chose, the newest first; at most SUBSCRIPTIONS_MOST."""
    return await tx.list(_subscriptions(account_id).limit(SUBSCRIPTIONS_MOST))


async def insert_subscription(tx: Tx, account_id: str, plan_id: str) -> Subscription:
    """From now on. Of two in one transaction the later one stays."""
    statement = insert(Subscription).values(account_id=account_id, started_at=tx.now, plan_id=plan_id)
    stored = statement.on_conflict_do_update(index_elements=["account_id", "started_at"], set_={"plan_id": plan_id})
    chosen = stored.returning(Subscription).execution_options(populate_existing=True)
    subscription: Subscription = await tx.find(chosen)
    return subscription


async def _called(tx: Tx, statement: Select[Any]) -> Plan:
    plan: Plan | None = await tx.find(statement)
    if plan is None:
        slugs = ", ".join(plan.slug for plan in await list_plans(tx))
        raise NotFound("There is no plan of this name.", hint=f"There are: {slugs}.", path=("plan",))
    return plan


def _subscriptions(account_id: str) -> Select[Any]:
    newest_first = col(Subscription.started_at).desc()
    return select(Subscription).where(col(Subscription.account_id) == account_id).order_by(newest_first)
