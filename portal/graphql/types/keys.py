"""Keys: the type, one by its id, many by pages."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Self

import strawberry

from portal import check, keys, usage
from portal.core.actor import Permission
from portal.graphql.engine.context import Info
from portal.graphql.engine.pagination import After, Connection, First, Node, check_first, connection_of, decode_cursor
from portal.graphql.engine.resolvers import requires, resolver
from portal.graphql.engine.scalars import BigInt, Environment, Json, value
from portal.graphql.types.key_limits import KeyLimit, LimitInForce, LimitOverride, limits_in_force
from portal.graphql.types.usage import (
    From,
    Granularity,
    GroupBy,
    Step,
    TimeZone,
    To,
    Usage,
    UsageRange,
    Where,
    read_usage,
)


@strawberry.enum(description="Whether a key verifies.")
class KeyStatus(Enum):
    ACTIVE = value("active", "It verifies.")
    PAUSED = value("paused", "Refused as DISABLED until it is resumed.")
    EXPIRED = value("expired", "Refused as EXPIRED since its expiry.")
    REVOKED = value("revoked", "Refused as REVOKED for ever.")


@strawberry.type(
    description="What a caller sends to be recognised as a key. The text itself is shown once and kept nowhere."
)
class KeySecret:
    id: strawberry.ID = strawberry.field(description="The secret's id.")
    masked: str = strawberry.field(description="Enough of it to recognise: pk_live_ab12…wxyz.")
    created_at: datetime = strawberry.field(description="When it was made.")
    ends_at: datetime | None = strawberry.field(description="When a rotation ends it; null: it goes on.")
    is_current: bool = strawberry.field(description="Whether it is the key's newest secret, which no rotation ends.")

    @classmethod
    def of(cls, row: keys.KeySecret) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            masked=row.display,
            created_at=row.created_at,
            ends_at=row.ends_at,
            is_current=row.ends_at is None,
        )

    @resolver("When a check last carried it; null: never.")
    async def last_used_at(self, info: Info) -> datetime | None:
        use = await info.context.loaders.last_used.load(self.id)
        return None if use is None else use.at

    @resolver("The newest address that a check with it told; null: none did.")
    async def last_used_address(self, info: Info) -> str | None:
        use = await info.context.loaders.last_used.load(self.id)
        return None if use is None else use.address


@strawberry.type(description="A limit that holds for a key, and where it stands this moment.")
class LiveLimit:
    name: str = strawberry.field(description="Its name in answers and headers; `own-` in front for the key's own.")
    amount: BigInt = strawberry.field(description="The most units that can pass at once.")
    window_ms: BigInt = strawberry.field(description="After how many milliseconds all of it is free again.")
    resource: str | None = strawberry.field(description="Which resources it is for; null: all.")
    remaining: BigInt = strawberry.field(description="Units that pass now.")
    reset_ms: BigInt = strawberry.field(
        description="Milliseconds until the oldest counted unit is free again; 0: none is counted."
    )

    @classmethod
    def of(cls, live: check.LimitAnswer) -> Self:
        return cls(
            name=live.name,
            amount=BigInt(live.limit),
            window_ms=BigInt(live.window_ms),
            resource=live.resource,
            remaining=BigInt(live.remaining),
            reset_ms=BigInt(live.reset_ms),
        )


@strawberry.type(
    description="One identity that calls the API. Limits, quota and history belong to it, whatever its secret."
)
class Key(Node):
    name: str = strawberry.field(description="The name that people gave it.")
    environment: Environment = strawberry.field(description="What it is for.")
    status: KeyStatus = strawberry.field(description="Whether it verifies now.")
    scopes: list[str] = strawberry.field(description="What it may be used for, sorted; empty: no scope.")
    allowed_ips: list[str] = strawberry.field(description="Networks that it may be used from; empty: all.")
    metadata: Json = strawberry.field(description="A JSON object of yours; each check answers it.")
    limits: list[KeyLimit] = strawberry.field(description="Limits of its own; the plan's hold as well.")
    created_at: datetime = strawberry.field(description="When it was created.")
    expires_at: datetime | None = strawberry.field(description="From when on it is refused; null: never.")
    paused_at: datetime | None = strawberry.field(description="Since when it is paused; null: it is not.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked; null: it was not.")
    revoked_reason: str | None = strawberry.field(description="Why it was revoked, if somebody said so.")
    limit_overrides: list[LimitOverride] = strawberry.field(
        description="What the provider's staff put in the place of the plan's limits for this key, by name."
    )
    row: strawberry.Private[keys.Key]

    @classmethod
    def of(cls, row: keys.Key, now: datetime) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            environment=Environment(row.environment),
            status=KeyStatus(keys.key_status(row, now).value),
            scopes=row.scopes,
            allowed_ips=row.allowed_ips,
            metadata=Json(row.attributes),
            limits=[KeyLimit.of(limit) for limit in row.limits],
            created_at=row.created_at,
            expires_at=row.expires_at,
            paused_at=row.paused_at,
            revoked_at=row.revoked_at,
            revoked_reason=row.revoked_reason,
            limit_overrides=[LimitOverride.of(override) for override in keys.overrides_of(row, now)],
            row=row,
        )

    @resolver("Every limit that its checks are held to: the plan's, overrides in their place, its own.")
    @requires(Permission.PLAN_READ)
    async def limits_in_force(self, info: Info) -> list[LimitInForce]:
        return await limits_in_force(info, self.row)

    @resolver("Its secrets, the newest first: one, or more after rotations.")
    async def secrets(self, info: Info) -> list[KeySecret]:
        return [KeySecret.of(row) for row in await info.context.loaders.secrets.load(self.id)]

    @resolver("The newest secret, enough of it to recognise: pk_live_ab12…wxyz.")
    async def masked_secret(self, info: Info) -> str:
        newest, *_ = await info.context.loaders.secrets.load(self.id)
        return newest.display

    @resolver("When a check last carried one of its secrets; null: never.")
    async def last_used_at(self, info: Info) -> datetime | None:
        return max((use.at for use in await self._uses(info)), default=None)

    @resolver("Every limit that holds for it, its plan's and its own, as it stands now; null: that is not known now.")
    async def live_limits(self, info: Info) -> list[LiveLimit] | None:
        found = await info.context.loaders.live_limits.load(self.id)
        return None if found is None else [LiveLimit.of(live) for live in found]

    @resolver("The newest address that a check with one of its secrets told; null: none did.")
    async def last_used_address(self, info: Info) -> str | None:
        told = [(use.at, use.address) for use in await self._uses(info) if use.address is not None]
        return max(told)[1] if told else None

    async def _uses(self, info: Info) -> list[usage.LastUse]:
        loaders = info.context.loaders
        secrets = await loaders.secrets.load(self.id)
        uses = await loaders.last_used.load_many([secret.id for secret in secrets])
        return [use for use in uses if use is not None]

    @resolver("Usage of this key over time.")
    @requires(Permission.USAGE_READ)
    async def usage(
        self,
        info: Info,
        start: From,
        end: To,
        granularity: Step = Granularity.DAY,
        group_by: GroupBy = None,
        where: Where = None,
        time_zone: TimeZone = "UTC",
    ) -> Usage:
        asked = UsageRange(start, end, granularity, time_zone)
        return await read_usage(info, asked, group_by, where, key_id=self.id)


KeyId = Annotated[strawberry.ID, strawberry.argument(name="id", description="The key's id.")]
Search = Annotated[str | None, strawberry.argument(description="Part of the name or of a masked secret.")]
InEnvironment = Annotated[Environment | None, strawberry.argument(description="Only keys of this environment.")]
WithStatus = Annotated[KeyStatus | None, strawberry.argument(description="Only keys that are so now.")]


@requires(Permission.KEYS_READ)
async def find_key(info: Info, key_id: str) -> Key | None:
    tx = info.context.tx
    row = await keys.find_key(tx, info.context.actor.account_id, key_id)
    return None if row is None else Key.of(row, tx.now)


@strawberry.type
class KeyQueries:
    @resolver("A key; null if there is none of this id in this account.", find_key)
    async def key(self, info: Info, key_id: KeyId) -> Key | None:
        return await find_key(info, key_id)

    @resolver("The account's keys, the newest first.")
    @requires(Permission.KEYS_READ)
    async def keys(
        self,
        info: Info,
        first: First = 25,
        after: After = None,
        search: Search = None,
        environment: InEnvironment = None,
        status: WithStatus = None,
    ) -> Connection[Key]:
        tx, account_id = info.context.tx, info.context.actor.account_id
        which = keys.KeyFilter(
            search=search,
            environment=environment.value if environment else None,
            status=keys.KeyStatus(status.value) if status else None,
        )
        before = decode_cursor(after) if after else None
        rows = await keys.list_keys(tx, account_id, which, most=check_first(first) + 1, before=before)
        items = [((row.created_at, row.id), Key.of(row, tx.now)) for row in rows]
        return connection_of(items, first, after, lambda: keys.count_keys(tx, account_id, which))
