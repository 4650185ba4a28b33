"""Statements of plans."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Integer, Select, Text, bindparam, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from portal.accounts import get_account
from portal.core.database import Tx
from portal.core.errors import NotFound
from portal.core.ids import AccountId
from portal.plans.models import Plan, PlanChoice, PlanVersion, Subscription

MAX_PLANS = 100
CONTENT = frozenset(PlanVersion.model_fields) - {"plan_id", "version", "created_at"}
"""The columns that each version of a plan has its own values of."""


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """The plan that an account is on, in its version; `started_at` None: the default, never chosen."""

    plan: Plan
    started_at: datetime | None


_LOCK_CATALOGUE = text("SELECT pg_advisory_xact_lock(hashtextextended('plans', 0))")
# A clock that goes back, or two choices in one transaction, change nothing about which one is the later.
_INSERT_CHOICE = text("""
INSERT INTO plan_choices (account_id, chosen_at, plan_id, version)
SELECT :account, greatest(:at, max(chosen_at) + interval '1 microsecond'), :plan, :version
FROM plan_choices WHERE account_id = :account
""").bindparams(
    bindparam("account", type_=Text),
    bindparam("at", type_=DateTime(timezone=True)),
    bindparam("plan", type_=Text),
    bindparam("version", type_=Integer),
)


async def list_plans(tx: Tx) -> list[Plan]:
    """Return the whole catalogue in its newest versions, in display order; at most 100 plans."""
    return await tx.list(select(Plan).order_by(col(Plan.position), col(Plan.rank), col(Plan.id)).limit(MAX_PLANS))


async def get_plan(tx: Tx, plan_id: str) -> Plan:
    """Return the plan in its newest version."""
    plan = await tx.find(select(Plan).where(col(Plan.id) == plan_id))
    if plan is None:
        raise NotFound("There is no such plan.", path=("planId",))
    return plan


async def get_plan_called(tx: Tx, name: str) -> Plan:
    """Return the plan with this slug or id, in its newest version."""
    return await _called(tx, select(Plan).where(or_(col(Plan.slug) == name, col(Plan.id) == name)))


async def lock_plan_called(tx: Tx, name: str) -> Plan:
    """Lock the plan with this slug or id."""
    return await _called(tx, select(Plan).where(or_(col(Plan.slug) == name, col(Plan.id) == name)).with_for_update())


async def lock_plans(tx: Tx) -> list[Plan]:
    """Lock the whole catalogue, so that slugs and ranks stay as they are until the transaction's end."""
    await tx.execute(_LOCK_CATALOGUE)
    return await list_plans(tx)


async def update_plan(tx: Tx, plan: Plan, fields: Mapping[str, Any]) -> Plan:
    """Update columns of a plan; PostgreSQL makes a version of it, where they belong to one. Return it as it is now."""
    changed = update(Plan).where(col(Plan.id) == plan.id).values(**fields).returning(Plan)
    return await tx.get(changed.execution_options(populate_existing=True))


async def list_versions(tx: Tx, plan_id: str) -> list[PlanVersion]:
    """Return the newest versions of a plan, the newest first; at most 100."""
    statement = select(PlanVersion).where(col(PlanVersion.plan_id) == plan_id)
    return await tx.list(statement.order_by(col(PlanVersion.version).desc()).limit(MAX_PLANS))


async def list_all_versions(tx: Tx) -> list[PlanVersion]:
    """Return versions of all plans, the newest first; at most 1,000."""
    statement = select(PlanVersion).order_by(col(PlanVersion.created_at).desc(), col(PlanVersion.plan_id))
    return await tx.list(statement.limit(10 * MAX_PLANS))


def plan_of_version(plan: Plan, version: PlanVersion) -> Plan:
    """Return the plan as it is sold in a version, apart from the session: to read, never to change."""
    return Plan(**plan.model_dump() | version.model_dump(include={*CONTENT}) | {"version": version.version})


async def get_plan_at(tx: Tx, plan_id: str, version: int) -> Plan:
    """Return a plan as it is sold in a version, apart from the session: to read, never to change."""
    plan = await get_plan(tx, plan_id)
    if plan.version == version:
        return plan
    is_it = col(PlanVersion.plan_id) == plan_id, col(PlanVersion.version) == version
    stored = await tx.find(select(PlanVersion).where(*is_it))
    if stored is None:
        raise NotFound(
            f"{plan.name} has no version {version}.", hint=f"The newest is {plan.version}.", path=("version",)
        )
    return plan_of_version(plan, stored)


async def version_at(tx: Tx, plan_id: str, instant: datetime) -> int:
    """Return the version that a plan was sold in at an instant; the first one for an instant before it."""
    newest = select(func.max(col(PlanVersion.version))).where(
        col(PlanVersion.plan_id) == plan_id, col(PlanVersion.created_at) <= instant
    )
    return await tx.find(newest) or 1


async def get_account_plan(tx: Tx, account_id: str) -> AccountPlan:
    """Return the plan that an account is on, in its version."""
    subscription = await find_subscription(tx, account_id)
    if subscription is None:
        plan = await get_default_plan(tx)
        if plan.version == 1:
            return AccountPlan(plan, None)
        account = await get_account(tx, AccountId(account_id))
        return AccountPlan(await get_plan_at(tx, plan.id, await version_at(tx, plan.id, account.created_at)), None)
    choice = await _find_newest_choice(tx, account_id)
    plan_id, started_at = subscription.plan_id, subscription.started_at
    version = choice.version if choice is not None and choice.plan_id == plan_id else None
    if version is None:  # chosen by a process of a version that knew no versions of plans
        version = await version_at(tx, plan_id, started_at)
    return AccountPlan(await get_plan_at(tx, plan_id, version), started_at)


async def _find_newest_choice(tx: Tx, account_id: str) -> PlanChoice | None:
    newest = select(PlanChoice).where(col(PlanChoice.account_id) == account_id)
    return await tx.find(newest.order_by(col(PlanChoice.chosen_at).desc()).limit(1))


async def get_default_plan(tx: Tx) -> Plan:
    plan = await tx.find(select(Plan).where(col(Plan.is_default)))
    if plan is None:
        raise NotFound("The catalogue has no default plan.", hint="Run `portal migrate`.")
    return plan


async def find_subscription(tx: Tx, account_id: str) -> Subscription | None:
    return await tx.find(select(Subscription).where(col(Subscription.account_id) == account_id))


async def upsert_subscription(tx: Tx, account_id: str, plan: Plan) -> Subscription:
    """Put the account on this version of a plan, and keep the choice. Of two at once the later one wins."""
    chosen = {"plan_id": plan.id, "started_at": tx.now}
    statement = insert(Subscription).values(account_id=account_id, **chosen)
    stored = statement.on_conflict_do_update(index_elements=["account_id"], set_=chosen).returning(Subscription)
    subscription = await tx.get(stored.execution_options(populate_existing=True))
    values = {"account": account_id, "at": tx.now, "plan": plan.id, "version": plan.version}
    await tx.execute(_INSERT_CHOICE, values)
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
