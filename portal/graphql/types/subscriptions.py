"""Subscriptions: counters of the account, changes of its keys; later, alerts."""

from collections.abc import AsyncGenerator
from datetime import datetime
from enum import Enum
from typing import Annotated, Self

import strawberry

from portal.core.actor import Permission
from portal.core.errors import Unavailable
from portal.graphql import live
from portal.graphql.engine.operation import Info
from portal.graphql.engine.resolvers import requires, resolver, subscription
from portal.graphql.engine.scalars import BigInt, value
from portal.graphql.types.keys import Key, find_key


@strawberry.type(description="Counters of the account at one instant.")
class UsageTick:
    at: datetime = strawberry.field(description="When the counters were read.")
    day_start: datetime = strawberry.field(
        description="Start of the account's current day, from which calls, units and denied are counted."
    )
    calls: BigInt = strawberry.field(description="Checks of this day, both allowed and denied.")
    units: BigInt = strawberry.field(description="Units used on this day.")
    denied: BigInt = strawberry.field(description="Checks denied on this day.")
    quota_limit: BigInt | None = strawberry.field(description="Units included in the plan; null for unlimited.")
    quota_used: BigInt = strawberry.field(description="Units used in the current billing month.")
    quota_remaining: BigInt | None = strawberry.field(description="Units left, at least 0; null for unlimited.")

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
    CREATED = value("created", "The key was created.")
    UPDATED = value("updated", "The name, scopes, networks, limits, metadata or expiry was changed.")
    ROTATED = value("rotated", "The key has a new secret.")
    PAUSED = value("paused", "The key was paused.")
    RESUMED = value("resumed", "The key was resumed.")
    REVOKED = value("revoked", "The key was revoked.")


@strawberry.type(description="A change of a key.")
class KeyChange:
    number: BigInt = strawberry.field(
        description="Number of the event. Numbers increase; an event may be delivered twice."
    )
    key_id: strawberry.ID = strawberry.field(description="The key's id.")
    change: KeyChangeKind = strawberry.field(description="What happened.")
    at: datetime = strawberry.field(description="When it happened.")

    @classmethod
    def of(cls, event: live.KeyEvent) -> Self:
        return cls(
            number=BigInt(event.number),
            key_id=strawberry.ID(event.key_id),
            change=KeyChangeKind(event.change),
            at=event.at,
        )

    @resolver("State of the key at the time of the event's delivery.", find_key)
    async def key(self, info: Info) -> Key | None:
        return await find_key(info, self.key_id)


OnlyKey = Annotated[strawberry.ID | None, strawberry.argument(description="Deliver only changes of this key.")]


@strawberry.type(description="Live events, over graphql-transport-ws or as server-sent events.")
class Live:
    @subscription("Counters of the account: once immediately, then whenever they change, at most once a second.")
    @requires(Permission.USAGE_READ)
    async def usage_ticks(self, info: Info) -> AsyncGenerator[UsageTick, None]:
        async with _hub(info).watch_counters(info.context.actor.account_id) as queue:
            while True:
                yield UsageTick.of(await queue.take())

    @subscription("Changes of the account's keys from now on, whoever makes them.")
    @requires(Permission.KEYS_READ)
    async def key_changed(self, info: Info, key_id: OnlyKey = None) -> AsyncGenerator[KeyChange, None]:
        async with _hub(info).watch_keys(info.context.actor.account_id) as queue:
            while True:
                event = await queue.take()
                if key_id in (None, event.key_id):
                    yield KeyChange.of(event)


def _hub(info: Info) -> live.SubscriptionHub:
    if info.context.hub is None:
        raise Unavailable("This process tells nothing live.")
    return info.context.hub
