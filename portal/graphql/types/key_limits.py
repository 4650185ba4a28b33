"""What a key is held to: its own limits, its plan's, and what staff put in the place of one of those."""

from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Self

import strawberry

from portal import keys, plans
from portal.core.actor import Actor, Permission
from portal.core.database import Tx
from portal.core.ids import AccountId
from portal.graphql.engine.errors import ConflictProblem, ForbiddenProblem, NotFoundProblem, ValidationProblem
from portal.graphql.engine.operation import Info
from portal.graphql.engine.resolvers import mutation
from portal.graphql.engine.scalars import BigInt, value


@strawberry.type(description="At most `amount` units per key in any `windowMs`.")
class KeyLimit:
    name: str = strawberry.field(description="Name of the limit. Answers and headers prefix it with `own-`.")
    amount: BigInt = strawberry.field(description="Units admitted per window.")
    window_ms: BigInt = strawberry.field(description="Length of the window in milliseconds.")

    @classmethod
    def of(cls, limit: dict[str, Any]) -> Self:
        return cls(name=limit["name"], amount=BigInt(limit["amount"]), window_ms=BigInt(limit["window_ms"]))


@strawberry.type(description="An override: the provider's replacement of a plan limit for one key.")
class LimitOverride:
    name: str = strawberry.field(description="Name of the plan's limit.")
    amount: BigInt = strawberry.field(description="Units admitted per window.")
    window_ms: BigInt = strawberry.field(description="Length of the window in milliseconds.")
    burst: BigInt | None = strawberry.field(description="Capacity of a token bucket; null if it equals the amount.")
    reason: str = strawberry.field(description="Reason given by the provider's staff.")
    made_at: datetime = strawberry.field(description="When it was set.")
    expires_at: datetime | None = strawberry.field(
        description="When it ends and the plan's limit applies again; null for never."
    )

    @classmethod
    def of(cls, override: keys.LimitOverride) -> Self:
        return cls(
            name=override.name,
            amount=BigInt(override.amount),
            window_ms=BigInt(override.window_ms),
            burst=None if override.burst is None else BigInt(override.burst),
            reason=override.reason,
            made_at=override.made_at,
            expires_at=override.expires_at,
        )


@strawberry.enum(description="Where a limit of a key comes from.")
class LimitOrigin(Enum):
    PLAN = value("plan", "The account's plan.")
    OVERRIDE = value("override", "An override by the provider's staff of the plan's limit of this name.")
    OWN = value("own", "The key's own limit, in addition to the plan's.")


@strawberry.type(description="A limit that applies to checks of a key.")
class LimitInForce:
    name: str = strawberry.field(description="Name of the limit in answers and headers.")
    origin: LimitOrigin = strawberry.field(description="Where it comes from.")
    amount: BigInt = strawberry.field(description="Units admitted per window.")
    window_ms: BigInt = strawberry.field(description="Length of the window in milliseconds.")
    burst: BigInt = strawberry.field(description="Maximum number of units that can pass at once.")
    per: str = strawberry.field(description="Whose units are counted together: key or account.")
    resource: str | None = strawberry.field(
        description="Endpoints to which it applies, with `*` at the end as a wildcard; null for all."
    )
    override: LimitOverride | None = strawberry.field(description="The override, if there is one.")


async def limits_in_force(info: Info, key: keys.Key) -> list[LimitInForce]:
    """Return the limits of the plan in its order, then the key's own."""
    entitlement = await info.context.loaders.entitlements.load(key.account_id)
    overrides = {override.name: override for override in keys.overrides_of(key, info.context.tx.now)}
    held = keys.with_overrides(entitlement.limits, [*overrides.values()])
    of_plan = [_in_force(limit, overrides.get(limit.name) if limit.per == "key" else None) for limit in held]
    return of_plan + [_in_force(limit, None, LimitOrigin.OWN) for limit in keys.own_limits(key)]


def _in_force(
    limit: plans.Limit, override: keys.LimitOverride | None, origin: LimitOrigin = LimitOrigin.PLAN
) -> LimitInForce:
    return LimitInForce(
        name=limit.name,
        origin=LimitOrigin.OVERRIDE if override is not None else origin,
        amount=BigInt(limit.amount),
        window_ms=BigInt(limit.window_ms),
        burst=BigInt(limit.capacity),
        per=limit.per,
        resource=limit.resource,
        override=None if override is None else LimitOverride.of(override),
    )


@strawberry.input(description="An override of a plan limit for one key.")
class OverrideKeyLimitInput:
    account_id: strawberry.ID = strawberry.field(description="Id of the account that the key belongs to.")
    id: strawberry.ID = strawberry.field(description="The key's id.")
    name: str = strawberry.field(description="Name of a limit of the account's plan that is counted per key.")
    amount: BigInt = strawberry.field(description="Units admitted per window: 1 to 1000000000.")
    window_ms: BigInt = strawberry.field(description="Length of the window in milliseconds: 100 to 2678400000.")
    burst: BigInt | None = strawberry.field(default=None, description="Capacity, for token buckets only.")
    reason: str = strawberry.field(description="Reason, 1 to 500 characters. The account sees it.")
    expires_at: datetime | None = strawberry.field(
        default=None, description="When the override ends (within seconds); null for never."
    )

    def to_new(self) -> keys.NewOverride:
        return keys.NewOverride(self.name, self.amount, self.window_ms, self.reason, self.burst, self.expires_at)


@strawberry.type(description="The overrides of a key were changed.")
class LimitOverridesChanged:
    key_id: strawberry.ID = strawberry.field(description="The key.")
    overrides: list[LimitOverride] = strawberry.field(description="All overrides in force, by name.")


OverrideKeyLimitResult = Annotated[
    LimitOverridesChanged | ValidationProblem | NotFoundProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("OverrideKeyLimitResult", description="Result of overrideKeyLimit."),
]
ClearKeyOverrideResult = Annotated[
    LimitOverridesChanged | NotFoundProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("ClearKeyOverrideResult", description="Result of clearKeyOverride."),
]
AccountOfKey = Annotated[strawberry.ID, strawberry.argument(description="Id of the account that the key belongs to.")]
KeyOfAccount = Annotated[strawberry.ID, strawberry.argument(name="id", description="The key's id.")]
LimitName = Annotated[str, strawberry.argument(description="Name of the plan's limit.")]


@strawberry.type
class KeyLimitMutations:
    @mutation(
        "Override a plan limit for one key, with another amount or window. For the provider's staff.",
        keys.override_key_limit,
    )
    async def override_key_limit(
        self,
        info: Info,
        new: Annotated[OverrideKeyLimitInput, strawberry.argument(name="input", description="The override.")],
    ) -> OverrideKeyLimitResult:
        tx, actor = _acting_for(info, new.account_id)
        async with tx.acting_for(actor.account_id):
            key = await keys.override_key_limit(tx, actor, new.id, new.to_new())
        return _changed(key, tx)

    @mutation(
        "Clear an override, so that the plan's limit applies to the key again. For the provider's staff.",
        keys.clear_key_override,
    )
    async def clear_key_override(
        self, info: Info, account_id: AccountOfKey, key_id: KeyOfAccount, name: LimitName
    ) -> ClearKeyOverrideResult:
        tx, actor = _acting_for(info, account_id)
        async with tx.acting_for(actor.account_id):
            key = await keys.clear_key_override(tx, actor, key_id, name)
        return _changed(key, tx)


def _acting_for(info: Info, account_id: str) -> tuple[Tx, Actor]:
    """Return a staff caller as an actor in another account, without a role there. Raises Forbidden for anyone else."""
    info.context.actor.require(Permission.STAFF)
    return info.context.tx, replace(info.context.actor, account_id=AccountId(account_id), role=None)


def _changed(key: keys.Key, tx: Tx) -> LimitOverridesChanged:
    overrides = [LimitOverride.of(override) for override in keys.overrides_of(key, tx.now)]
    return LimitOverridesChanged(key_id=strawberry.ID(key.id), overrides=overrides)
