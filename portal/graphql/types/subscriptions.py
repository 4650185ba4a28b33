"""What is told while it happens: counters of the account, changes of its keys; later, alerts."""

from collections.abc import AsyncGenerator
from datetime import datetime
from enum import Enum
from typing import Annotated, Self

import strawberry

from portal.core.actor import Permission
from portal.core.errors import Unavailable
from portal.graphql import live
from portal.graphql.engine.context import Info
from portal.graphql.engine.resolvers import requires, resolver, subscription
from portal.graphql.engine.scalars import BigInt, value
from portal.graphql.types.keys import Key, find_key


@strawberry.type(description="The account's counters at one instant.")
class UsageTick:
    at: datetime = strawberry.field(description="When they were read.")
    day_start: datetime = strawberry.field(
        description="When the account's day began: calls, units and denied count from then."
    )
    calls: BigInt = strawberry.field(description="Checks of this day: allowed and denied ones.")
    units: BigInt = strawberry.field(description="Units of this day.")
    denied: BigInt = strawberry.field(description="Checks of this day that were denied.")
    quota_limit: BigInt | None = strawberry.field(description="Units that the plan includes; null: unlimited.")
    quota_used: BigInt = strawberry.field(description="Units of the current billing month.")
    quota_remaining: BigInt | None = strawberry.field(description="Units left, never below 0; null: unlimited.")

    @classmethod
    def of(cls, counters: live.UsageSnapshot) -> Self:
        limit, used = counters.quota_limit, counters.quota_used
        return cls(
            at=counters.at,
            day_start=counters.day_start,
            calls=BigInt(counters.calls),
            units=BigInt(counters.units),
            denied=BigInt(counters.denied),
            quota_limit=None if limit is None else BigInt(limit),
            quota_used=BigInt(used),
            quota_remaining=None if limit is None else BigInt(max(0, limit - used)),
        )


@strawberry.enum(description="What happened to a key.")
class KeyChangeKind(Enum):
    CREATED = value("created", "It is new.")
    UPDATED = value("updated", "Its name, scopes, networks, limits, metadata or expiry were changed.")
    ROTATED = value("rotated", "It has a new secret.")
    PAUSED = value("paused", "Checks with it are denied until it is resumed.")
    RESUMED = value("resumed", "Checks with it are answered again.")
    REVOKED = value("revoked", "It never comes back.")


@strawberry.type(description="Something that happened to a key.")
class KeyChange:
    number: BigInt = strawberry.field(description="The event's number. Numbers grow; the same one may come twice.")
    key_id: strawberry.ID = strawberry.field(description="The key's id.")
    change: KeyChangeKind = strawberry.field(description="What happened.")
    at: datetime = strawberry.field(description="When it happened.")

    @classmethod
    def of(cls, happening: live.KeyEvent) -> Self:
        return cls(
            number=BigInt(happening.number),
            key_id=strawberry.ID(happening.key_id),
            change=KeyChangeKind(happening.change),
            at=happening.at,
        )

    @resolver("The key as it is when this is told.", find_key)
    async def key(self, info: Info) -> Key | None:
        return await find_key(info, self.key_id)


OnlyKey = Annotated[strawberry.ID | None, strawberry.argument(description="Only changes of this key.")]


@strawberry.type(description="What is told while it happens: over graphql-transport-ws, or as server-sent events.")
class Live:
    @subscription("The account's counters: as they are, then whenever they have changed, at most once a second.")
    @requires(Permission.USAGE_READ)
    async def usage_ticks(self, info: Info) -> AsyncGenerator[UsageTick, None]:
        async with _hub(info).watch_counters(info.context.actor.account_id) as mailbox:
            while True:
                yield UsageTick.of(await mailbox.take())

    @subscription("Changes of the account's keys, whoever made them, from now on.")
    @requires(Permission.KEYS_READ)
    async def key_changed(self, info: Info, key_id: OnlyKey = None) -> AsyncGenerator[KeyChange, None]:
        async with _hub(info).watch_keys(info.context.actor.account_id) as mailbox:
            while True:
                happening = await mailbox.take()
                if key_id in (None, happening.key_id):
                    yield KeyChange.of(happening)


def _hub(info: Info) -> live.SubscriptionHub:
    if info.context.hub is None:
        raise Unavailable("This process tells nothing live.")
    return info.context.hub
