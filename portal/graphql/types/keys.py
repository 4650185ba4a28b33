"""Keys: the type, one by its id, many by pages."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Self

import strawberry

from portal import check, keys, usage
from portal.core.actor import Permission
from portal.graphql.engine.operation import Info
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


@strawberry.enum(description="Whether checks accept a key.")
class KeyStatus(Enum):
    ACTIVE = value("active", "Checks accept the key.")
    PAUSED = value("paused", "Checks deny the key with DISABLED until it is resumed.")
    EXPIRED = value("expired", "Checks deny the key with EXPIRED since its expiry.")
    REVOKED = value("revoked", "Checks deny the key with REVOKED, permanently.")


@strawberry.type(
    description="A secret of a key: the text that callers send. It is shown once; only its SHA-256 is stored."
)
class KeySecret:
    id: strawberry.ID = strawberry.field(description="Id of the secret.")
    masked: str = strawberry.field(description="Masked text, enough to recognize the secret: pk_live_ab12…wxyz.")
    created_at: datetime = strawberry.field(description="When it was created.")
    ends_at: datetime | None = strawberry.field(
        description="When it stops working because of a rotation; null if it does not."
    )
    is_current: bool = strawberry.field(description="Whether it is the key's newest secret.")

    @classmethod
    def of(cls, row: keys.KeySecret) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            masked=row.display,
            created_at=row.created_at,
            ends_at=row.ends_at,
            is_current=row.ends_at is None,
        )

    @resolver("Time of the most recent check with this secret, if any.")
    async def last_used_at(self, info: Info) -> datetime | None:
        use = await info.context.loaders.last_used.load(self.id)
        return None if use is None else use.at

    @resolver("Client IP of the most recent check with this secret, if known.")
    async def last_used_address(self, info: Info) -> str | None:
        use = await info.context.loaders.last_used.load(self.id)
        return None if use is None else use.address


@strawberry.type(description="A limit of a key and its current state.")
class LiveLimit:
    name: str = strawberry.field(
        description="Name in answers and headers. The key's own limits are prefixed with `own-`."
    )
    amount: BigInt = strawberry.field(description="Maximum number of units that can pass at once.")
    window_ms: BigInt = strawberry.field(description="Milliseconds after which the whole amount is available again.")
    resource: str | None = strawberry.field(description="Endpoints to which it applies; null for all.")
    remaining: BigInt = strawberry.field(description="Units available now.")
    reset_ms: BigInt = strawberry.field(
        description="Milliseconds until the oldest counted unit is released; 0 if none is counted."
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
    description="An identity that calls the API. Limits, quota and history belong to it, whichever secret is used."
)
class Key(Node):
    name: str = strawberry.field(description="The name of the key.")
    environment: Environment = strawberry.field(description="What it is for.")
    status: KeyStatus = strawberry.field(description="Current status.")
    scopes: list[str] = strawberry.field(description="What the key may be used for, sorted. Empty if it has no scopes.")
    allowed_ips: list[str] = strawberry.field(
        description="Networks from which the key may be used. Empty if it may be used from anywhere."
    )
    metadata: Json = strawberry.field(description="Your own JSON object. Every check returns it.")
    limits: list[KeyLimit] = strawberry.field(description="The key's own limits, in addition to the plan's.")
    created_at: datetime = strawberry.field(description="When it was created.")
    expires_at: datetime | None = strawberry.field(description="When it expires; null for never.")
    paused_at: datetime | None = strawberry.field(description="When it was paused, if it is.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked, if it was.")
    revoked_reason: str | None = strawberry.field(description="Reason given for revoking it, if any.")
    limit_overrides: list[LimitOverride] = strawberry.field(
        description="The provider's overrides of plan limits for this key, by name."
    )
    version: str = strawberry.field(
        description="Version of the key's settings: it changes with its name, scopes, networks, metadata, expiry and "
        "own limits. Send it with `updateKey`, so that a change somebody made meanwhile is not lost."
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
            version=keys.settings_version(row),
            row=row,
        )

    @resolver("All limits that apply to the key: the plan's with their overrides, then its own.")
    @requires(Permission.PLAN_READ)
    async def limits_in_force(self, info: Info) -> list[LimitInForce]:
        return await limits_in_force(info, self.row)

    @resolver("Secrets of the key, newest first. There is more than one after a rotation.")
    async def secrets(self, info: Info) -> list[KeySecret]:
        return [KeySecret.of(row) for row in await info.context.loaders.secrets.load(self.id)]

    @resolver("Masked text of the newest secret: pk_live_ab12…wxyz.")
    async def masked_secret(self, info: Info) -> str:
        newest, *_ = await info.context.loaders.secrets.load(self.id)
        return newest.display

    @resolver("Time of the most recent check with this key, if any.")
    async def last_used_at(self, info: Info) -> datetime | None:
        return max((use.at for use in await self._uses(info)), default=None)

    @resolver("All limits of the key with their current state; null while that cannot be read.")
    async def live_limits(self, info: Info) -> list[LiveLimit] | None:
        found = await info.context.loaders.live_limits.load(self.id)
        return None if found is None else [LiveLimit.of(live) for live in found]

    @resolver("Client IP of the most recent check with this key, if known.")
    async def last_used_address(self, info: Info) -> str | None:
        address_uses = [(use.at, use.address) for use in await self._uses(info) if use.address is not None]
        return max(address_uses)[1] if address_uses else None

    async def _uses(self, info: Info) -> list[usage.LastUse]:
        loaders = info.context.loaders
        secrets = await loaders.secrets.load(self.id)
        uses = await loaders.last_used.load_many([secret.id for secret in secrets])
        return [use for use in uses if use is not None]

    @resolver("Usage of the key over time.")
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
        usage_range = UsageRange(start, end, granularity, time_zone)
        return await read_usage(info, usage_range, group_by, where, key_id=self.id)


KeyId = Annotated[strawberry.ID, strawberry.argument(name="id", description="The key's id.")]
Search = Annotated[
    str | None, strawberry.argument(description="Part of the name or of the masked secret, a secret, or how it begins.")
]
InEnvironment = Annotated[Environment | None, strawberry.argument(description="Return only keys of this environment.")]
WithStatus = Annotated[KeyStatus | None, strawberry.argument(description="Return only keys with this status.")]


@requires(Permission.KEYS_READ)
async def find_key(info: Info, key_id: str) -> Key | None:
    tx = info.context.tx
    row = await keys.find_key(tx, info.context.actor.account_id, key_id)
    return None if row is None else Key.of(row, tx.now)


@strawberry.type
class KeyQueries:
    @resolver("A key of the account, or null if there is none with this id.", find_key)
    async def key(self, info: Info, key_id: KeyId) -> Key | None:
        return await find_key(info, key_id)

    @resolver("Keys of the account, newest first.")
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
        filters = keys.KeyFilter(
            search=search,
            environment=environment.value if environment else None,
            status=keys.KeyStatus(status.value) if status else None,
        )
        before = decode_cursor(after) if after else None
        rows = await keys.list_keys(tx, account_id, filters, most=check_first(first) + 1, before=before)
        items = [((row.created_at, row.id), Key.of(row, tx.now)) for row in rows]
        return connection_of(items, first, after, lambda: keys.count_keys(tx, account_id, filters))
