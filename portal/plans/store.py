"""Statements of plans."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from portal.accounts import get_account
from portal.core.database import Tx
from portal.core.errors import NotFound
from portal.plans.models import Plan, PlanChoice, PlanVersion, Subscription

MAX_PLANS = 100
CONTENT = frozenset(PlanVersion.model_fields) - {"plan_id", "version", "created_at"}
"""The columns that each version of a plan has its own values of."""


@dataclass(frozen=True, slots=True)
class PendingPlan:
    """The plan that an account will be on from an instant on, in its version."""

    plan: Plan
    starts_at: datetime


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """The plan that an account is on, in its version; `started_at` None: the default, never chosen."""

    plan: Plan
    started_at: datetime | None
    pending: PendingPlan | None = None


_LOCK_CATALOGUE = text("SELECT pg_advisory_xact_lock(hashtextextended('plans', 0))")


async def list_plans(tx: Tx) -> list[Plan]:
    """Return the whole catalogue in its newest versions, in display order; at most 100 plans."""
    return await tx.list(select(Plan).order_by(col(Plan.position), col(Plan.rank), col(Plan.id)).limit(MAX_PLANS))


async def get_plan(tx: Tx, plan_id: str) -> Plan:
    """Return the plan in its newest version."""
    statement = select(Plan).where(col(Plan.id) == plan_id)
    plan = await tx.find(statement.execution_options(populate_existing=True))  # PostgreSQL gives ranks and versions
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
    """Return the plan that an account is on, in its version, and the one that is to come next."""
    choice = await _find_newest_choice(tx, account_id)
    if choice is None:
        return AccountPlan(await get_first_plan(tx, account_id), None)
    plan_id, version, since = choice.plan_id, choice.version, choice.plan_since
    if choice.kind is None:  # made by a process of a version that knew no kinds
        since = choice.chosen_at
    if version is None:
        version = await version_at(tx, plan_id, choice.chosen_at)
    if choice.next_plan_id is None or choice.next_version is None or choice.takes_effect_at is None:
        return AccountPlan(await get_plan_at(tx, plan_id, version), since)
    following = await get_plan_at(tx, choice.next_plan_id, choice.next_version)
    if choice.takes_effect_at <= tx.now:
        return AccountPlan(following, choice.takes_effect_at)
    pending = PendingPlan(following, choice.takes_effect_at)
    return AccountPlan(await get_plan_at(tx, plan_id, version), since, pending)


async def get_first_plan(tx: Tx, account_id: str) -> Plan:
    """Return the plan that an account was opened on: the default one, in the version of that instant."""
    plan = await get_default_plan(tx)
    if plan.version == 1:
        return plan
    opened_at = (await get_account(tx, account_id)).created_at
    return await get_plan_at(tx, plan.id, await version_at(tx, plan.id, opened_at))


async def _find_newest_choice(tx: Tx, account_id: str) -> PlanChoice | None:
    newest = select(PlanChoice).where(col(PlanChoice.account_id) == account_id)
    return await tx.find(newest.order_by(col(PlanChoice.chosen_at).desc()).limit(1))


async def get_default_plan(tx: Tx) -> Plan:
    plan = await tx.find(select(Plan).where(col(Plan.is_default)))
    if plan is None:
        raise NotFound("The catalogue has no default plan.", hint="Run `portal migrate`.")
    return plan


async def insert_choice(tx: Tx, choice: PlanChoice) -> None:
    """Keep a choice, later than all others of its account.

    The subscription says the same, for processes of the version before: those read no more of a choice than its plan.
    """
    await tx.insert(choice)
    chosen = {"plan_id": choice.plan_id, "started_at": choice.plan_since or choice.chosen_at}
    statement = insert(Subscription).values(account_id=choice.account_id, **chosen)
    await tx.execute(statement.on_conflict_do_update(index_elements=["account_id"], set_=chosen))


async def list_choices(tx: Tx, account_id: str) -> list[PlanChoice]:
    """Return all choices of an account, in order."""
    statement = select(PlanChoice).where(col(PlanChoice.account_id) == account_id)
    return await tx.list(statement.order_by(col(PlanChoice.chosen_at)))


async def _called(tx: Tx, statement: Select[Plan]) -> Plan:
    plan = await tx.find(statement)
    if plan is None:
        slugs = ", ".join(plan.slug for plan in await list_plans(tx))
        raise NotFound("There is no plan of this name.", hint=f"There are: {slugs}.", path=("plan",))
    return plan
