"""Statements of plans."""

from datetime import datetime

from sqlalchemy import DateTime, Select, Text, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from portal.core.database import Tx
from portal.core.errors import NotFound
from portal.plans.models import Plan, PlanChoice, Subscription

# A clock that goes back, or two choices in one transaction, change nothing about which one is the later.
_INSERT_CHOICE = text("""
INSERT INTO plan_choices (account_id, chosen_at, plan_id)
SELECT :account, greatest(:at, max(chosen_at) + interval '1 microsecond'), :plan
FROM plan_choices WHERE account_id = :account
""").bindparams(
    bindparam("account", type_=Text), bindparam("at", type_=DateTime(timezone=True)), bindparam("plan", type_=Text)
)


async def list_plans(tx: Tx) -> list[Plan]:
    """Return the catalogue in display order; at most 100 plans."""
    return await tx.list(select(Plan).order_by(col(Plan.position), col(Plan.id)).limit(100))


async def get_plan(tx: Tx, plan_id: str) -> Plan:
    plan = await tx.find(select(Plan).where(col(Plan.id) == plan_id))
    if plan is None:
        raise NotFound("There is no such plan.", path=("planId",))
    return plan


async def get_plan_called(tx: Tx, slug: str) -> Plan:
    """Return the plan with this slug."""
    return await _called(tx, select(Plan).where(col(Plan.slug) == slug))


async def lock_plan_called(tx: Tx, slug: str) -> Plan:
    return await _called(tx, select(Plan).where(col(Plan.slug) == slug).with_for_update())


async def get_plan_of(tx: Tx, subscription: Subscription | None) -> Plan:
    """Return the plan of an account with this subscription; without one it is the default plan."""
    return await (get_plan(tx, subscription.plan_id) if subscription else get_default_plan(tx))


async def get_default_plan(tx: Tx) -> Plan:
    plan = await tx.find(select(Plan).where(col(Plan.is_default)))
    if plan is None:
        raise NotFound("The catalogue has no default plan.", hint="Run `portal migrate`.")
    return plan


async def find_subscription(tx: Tx, account_id: str) -> Subscription | None:
    return await tx.find(select(Subscription).where(col(Subscription.account_id) == account_id))


async def upsert_subscription(tx: Tx, account_id: str, plan_id: str) -> Subscription:
    """Put the account on a plan. When two people choose at once, the later choice wins. Every choice is kept."""
    chosen = {"plan_id": plan_id, "started_at": tx.now}
    statement = insert(Subscription).values(account_id=account_id, **chosen)
    stored = statement.on_conflict_do_update(index_elements=["account_id"], set_=chosen).returning(Subscription)
    subscription = await tx.get(stored.execution_options(populate_existing=True))
    await tx.execute(_INSERT_CHOICE, {"account": account_id, "at": tx.now, "plan": plan_id})
    return subscription


async def list_choices(tx: Tx, account_id: str, since: datetime) -> list[PlanChoice]:
    """Return the account's choices from an instant on and the one before it, in order."""
    in_account = col(PlanChoice.account_id) == account_id
    before = select(func.max(col(PlanChoice.chosen_at))).where(in_account, col(PlanChoice.chosen_at) <= since)
    first = func.coalesce(before.scalar_subquery(), since)
    statement = select(PlanChoice).where(in_account, col(PlanChoice.chosen_at) >= first)
    return await tx.list(statement.order_by(col(PlanChoice.chosen_at)))


async def _called(tx: Tx, statement: Select[Plan]) -> Plan:
    plan = await tx.find(statement)
    if plan is None:
        slugs = ", ".join(plan.slug for plan in await list_plans(tx))
        raise NotFound("There is no plan of this name.", hint=f"There are: {slugs}.", path=("plan",))
    return plan
