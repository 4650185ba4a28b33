"""The catalogue, the account's plan, how much of its quota is left and for how long."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Self

import strawberry

from portal import billing, check, plans, usage
from portal.core.actor import Permission
from portal.core.errors import NotFound
from portal.core.money import Money
from portal.graphql.engine.operation import Info
from portal.graphql.engine.pagination import Node
from portal.graphql.engine.resolvers import requires, resolver
from portal.graphql.engine.scalars import BigInt, value
from portal.graphql.types.tariffs import Tariff


@strawberry.type(description="An amount of money.")
class Price:
    amount: str = strawberry.field(description="The exact decimal amount, like 49.00.")
    currency: str = strawberry.field(description="The ISO 4217 code, like EUR.")

    @classmethod
    def of(cls, amount: Decimal, currency: str) -> Self:
        """Round to minor units of the currency."""
        return cls(amount=str(Money(amount, currency).rounded().amount), currency=currency)


@strawberry.type(description="At most `amount` units in any `windowMs`.")
class Limit:
    name: str = strawberry.field(description="Name of the limit in answers and headers.")
    algorithm: str = strawberry.field(description="How it counts: sliding_window or token_bucket.")
    amount: BigInt = strawberry.field(description="Units admitted per window.")
    window_ms: BigInt = strawberry.field(description="Length of the window in milliseconds.")
    per: str = strawberry.field(description="Whose units are counted together: key or account.")
    burst: BigInt = strawberry.field(description="Maximum number of units that can pass at once.")
    resource: str | None = strawberry.field(
        description="Endpoints to which it applies, with `*` at the end as a wildcard; null for all."
    )

    @classmethod
    def of(cls, limit: plans.Limit) -> Self:
        return cls(
            name=limit.name,
            algorithm=limit.algorithm,
            amount=BigInt(limit.amount),
            window_ms=BigInt(limit.window_ms),
            per=limit.per,
            burst=BigInt(limit.capacity),
            resource=limit.resource,
        )


@strawberry.enum(description="Who may choose a plan.")
class PlanVisibility(Enum):
    PUBLIC = value("public", "Every account.")
    APPROVAL = value("approval", "Accounts to which the provider gives it when they ask.")
    STAFF = value("staff", "Nobody; the provider's staff put accounts on it.")


@strawberry.type(description="A plan of the catalogue, in a version: what an account may do, and its monthly price.")
class Plan(Node):
    slug: str = strawberry.field(description="Stable identifier for programs.")
    name: str = strawberry.field(description="The plan's name.")
    description: str = strawberry.field(description="Who the plan is for.")
    price: Price = strawberry.field(description="Monthly price.")
    monthly_quota: BigInt | None = strawberry.field(description="Units per billing month; null for unlimited.")
    is_overage_allowed: bool = strawberry.field(
        description="Whether units above the quota are billed instead of denied."
    )
    tariff: Tariff | None = strawberry.field(description="Prices of usage; null if only the monthly price is charged.")
    limits: list[Limit] = strawberry.field(description="Rate limits.")
    is_default: bool = strawberry.field(description="Whether accounts that never chose a plan are on it.")
    version: int = strawberry.field(
        description="Number of the version that the other fields are of. An account keeps the version that it chose."
    )
    rank: int | None = strawberry.field(
        description="Place in the order of plans, the highest last. A change to a higher rank is an upgrade."
    )
    visibility: PlanVisibility = strawberry.field(description="Who may choose the plan.")
    retired_at: datetime | None = strawberry.field(
        description="Since when no account can choose the plan any more; null while it is sold."
    )

    @classmethod
    def of(cls, row: plans.Plan) -> Self:
        tariff = billing.parse_tariff_or_none(row.tariff)
        return cls(
            id=strawberry.ID(row.id),
            slug=row.slug,
            name=row.name,
            description=row.description,
            price=Price.of(row.price, row.currency),
            monthly_quota=None if row.monthly_quota is None else BigInt(row.monthly_quota),
            is_overage_allowed=row.is_overage_allowed,
            tariff=Tariff.of(tariff) if tariff else None,
            limits=[Limit.of(plans.Limit(**limit)) for limit in row.limits],
            is_default=row.is_default,
            version=row.version,
            rank=row.rank,
            visibility=PlanVisibility(row.visibility),
            retired_at=row.retired_at,
        )


@strawberry.type(description="The plan that the account will be on with the next billing month.")
class PendingPlan:
    plan: Plan = strawberry.field(description="The plan.")
    starts_at: datetime = strawberry.field(description="When it begins. Until then it can be withdrawn.")


@strawberry.type(description="The plan that the account is on.")
class Subscription:
    plan: Plan = strawberry.field(description="The plan.")
    started_at: datetime | None = strawberry.field(
        description="Since when the account is on it; null for the default plan."
    )
    pending: PendingPlan | None = strawberry.field(
        description="The plan that was chosen for the next billing month; null if the present one stays."
    )

    @classmethod
    def of(cls, chosen: plans.AccountPlan) -> Self:
        pending = chosen.pending
        return cls(
            plan=Plan.of(chosen.plan),
            started_at=chosen.started_at,
            pending=None if pending is None else PendingPlan(plan=Plan.of(pending.plan), starts_at=pending.starts_at),
        )


@strawberry.type(description="Forecast of the quota at the pace of the last 7 days.")
class QuotaForecast:
    used: BigInt = strawberry.field(description="Units expected to be used by the end of the billing month.")
    runs_out_at: datetime | None = strawberry.field(
        description="When the quota will be used up at this pace; null if not within the billing month."
    )
    since: datetime = strawberry.field(
        description="Since when the pace is measured: 7 days ago, or when the account was opened. A forecast from less "
        "than a day says little."
    )


@strawberry.type(description="The quota of the current billing month.")
class Quota:
    limit: BigInt | None = strawberry.field(description="Units included in the plan; null for unlimited.")
    used: BigInt = strawberry.field(description="Units used so far, as checks count them right now.")
    is_live: bool = strawberry.field(
        description="Whether `used` is live. If not, the counter cannot be read and `used` equals `ingested`."
    )
    ingested: BigInt = strawberry.field(description="Units that have reached the usage history so far.")
    remaining: BigInt | None = strawberry.field(description="Units left, at least 0; null for unlimited.")
    is_overage_allowed: bool = strawberry.field(
        description="Whether units above the limit are billed instead of denied."
    )
    period_start: datetime = strawberry.field(description="When the billing month began.")
    period_end: datetime = strawberry.field(description="When the billing month ends and the quota resets.")

    @classmethod
    def of(cls, entitlement: plans.Entitlement, period: plans.AccountPeriod, ingested: int, live: int | None) -> Self:
        limit = entitlement.quota
        used = ingested if live is None else live
        return cls(
            is_live=live is not None,
            ingested=BigInt(ingested),
            limit=None if limit is None else BigInt(limit),
            used=BigInt(used),
            remaining=None if limit is None else BigInt(max(0, limit - used)),
            is_overage_allowed=entitlement.is_overage_allowed,
            period_start=period.start,
            period_end=period.end,
        )

    @resolver("Forecast at the pace of the last 7 days, or since the account was opened.")
    async def forecast(self, info: Info) -> QuotaForecast:
        measured = await info.context.loaders.pace.load(info.context.actor.account_id)
        expected = plans.forecast(self.used, self.limit, measured.pace, info.context.tx.now, self.period_end)
        return QuotaForecast(used=BigInt(expected.used), runs_out_at=expected.runs_out_at, since=measured.since)


@strawberry.type
class PlanQueries:
    @resolver("Plans that the account may choose by itself, in their newest versions and in display order.")
    @requires(Permission.PLAN_READ)
    async def plans(self, info: Info) -> list[Plan]:
        return [Plan.of(row) for row in await plans.list_offered_plans(info.context.tx)]

    @resolver("The plan that the account is on.")
    @requires(Permission.PLAN_READ)
    async def subscription(self, info: Info) -> Subscription:
        return Subscription.of(await info.context.loaders.plan.load(info.context.actor.account_id))

    @resolver("The quota of the current billing month and what is left of it.")
    @requires(Permission.USAGE_READ)
    async def quota(self, info: Info) -> Quota:
        tx, account_id = info.context.tx, info.context.actor.account_id
        loaders = info.context.loaders
        entitlement = plans.entitlement_from((await loaders.plan.load(account_id)).plan)
        account = await loaders.account.load(account_id)
        period = await plans.load_period_at(tx, account, tx.now)
        ingested = await usage.used_in_period(tx, account_id, period.name)
        limiter = info.context.limiter
        live = None if limiter is None else await check.load_live_used(limiter, account_id, period)
        return Quota.of(entitlement, period, ingested, live)


@requires(Permission.PLAN_READ)
async def find_plan(info: Info, plan_id: str) -> Plan | None:
    try:
        return Plan.of(await plans.get_visible_plan(info.context.tx, info.context.actor, plan_id))
    except NotFound:
        return None
