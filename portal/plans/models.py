"""Tables of the catalogue and of who is on which plan."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, Numeric, text
from sqlmodel import Field, SQLModel

from portal.core.columns import json_column, time_column


class Plan(SQLModel, table=True):
    """What an account may do, and for how much a month, in its newest version.

    PostgreSQL numbers the versions and stores each in `plan_versions` (a trigger), whoever writes here. `rank` orders
    plans: a change to a higher one is an upgrade. `visibility`: "public", "approval" or "staff", see catalogue.
    `limits` is a list of `entitlement.Limit` as objects.
    `monthly_quota` None means unlimited; with `is_overage_allowed` calls above it are billed, not denied.
    `failure_policy` says how checks answer when Redis does not: "open", "closed" or "local".
    `tariff` is what usage costs, as portal.billing reads it; without charges it costs nothing beside `price`.
    """

    __tablename__ = "plans"

    id: str = Field(primary_key=True)
    slug: str = Field(unique=True)
    name: str
    description: str = ""
    price: Decimal = Field(sa_column=Column(Numeric(20, 6), nullable=False))
    currency: str = "EUR"
    monthly_quota: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    is_overage_allowed: bool = False
    failure_policy: str = "open"
    limits: list[dict[str, Any]] = Field(sa_column=json_column("[]"))
    tariff: dict[str, Any] = Field(default_factory=dict, sa_column=json_column())
    position: int = 0
    is_default: bool = False
    created_at: datetime = Field(sa_column=time_column())
    version: int = Field(default=1, sa_column=Column(Integer, nullable=False, server_default=text("1")))
    rank: int | None = Field(default=None, unique=True)
    visibility: str = Field(default="public", sa_column_kwargs={"server_default": "public"})
    retired_at: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))


class PlanVersion(SQLModel, table=True):
    """What a plan was, or is, sold as. It never changes: accounts are on a version of a plan."""

    __tablename__ = "plan_versions"

    plan_id: str = Field(primary_key=True, foreign_key="plans.id")
    version: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    name: str
    description: str
    price: Decimal = Field(sa_column=Column(Numeric(20, 6), nullable=False))
    currency: str
    monthly_quota: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    is_overage_allowed: bool
    failure_policy: str
    limits: list[dict[str, Any]] = Field(sa_column=json_column("[]"))
    tariff: dict[str, Any] = Field(default_factory=dict, sa_column=json_column())
    created_at: datetime = Field(sa_column=time_column())


class Subscription(SQLModel, table=True):
    """The plan an account chose; an account without a row is on the default plan."""

    __tablename__ = "subscriptions"

    account_id: str = Field(primary_key=True, foreign_key="accounts.id")
    plan_id: str = Field(foreign_key="plans.id")
    started_at: datetime = Field(sa_column=time_column())


class BillingPeriod(SQLModel, table=True):
    """A billing period [starts_at, ends_at) of an account; `name` is YYYY-MM, the month of its days in `time_zone`."""

    __tablename__ = "billing_periods"

    account_id: str = Field(primary_key=True, foreign_key="accounts.id")
    name: str = Field(primary_key=True)
    time_zone: str
    starts_at: datetime = Field(sa_column=time_column())
    ends_at: datetime = Field(sa_column=time_column())


class PlanChoice(SQLModel, table=True):
    """A choice and what it led to. The newest one says which plan the account is on, and which comes next.

    The account is on `plan_id` in `version` from `chosen_at` on, and on `next_plan_id` in `next_version` from
    `takes_effect_at` on, which is a period's end. `plan_since`: when it chose the plan that it is on; None for the
    default plan, never chosen. `kind` is a history.ChangeKind; `used_before` are the units of the period so far.

    Without a kind it was made by a process of a version that had none: at once. Without a version too: see
    `store.version_at`.
    """

    __tablename__ = "plan_choices"

    account_id: str = Field(primary_key=True, foreign_key="accounts.id")
    chosen_at: datetime = Field(sa_column=Column(time_column().type, primary_key=True))
    plan_id: str = Field(foreign_key="plans.id")
    version: int | None = None
    kind: str | None = None
    used_before: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    takes_effect_at: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))
    plan_since: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))
    next_plan_id: str | None = Field(default=None, foreign_key="plans.id")
    next_version: int | None = None
