"""Keys that somebody should look at: about to expire, refused for a limit, or unused for a long time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated

import strawberry

from portal import keys, usage
from portal.core.actor import Permission
from portal.core.database import Tx
from portal.core.ids import AccountId
from portal.graphql.engine.operation import Info
from portal.graphql.engine.pagination import check_first
from portal.graphql.engine.resolvers import requires, resolver
from portal.graphql.engine.scalars import BigInt, value
from portal.graphql.types.keys import Key

SOON = timedelta(days=14)
LATELY = timedelta(hours=24)
UNUSED = timedelta(days=90)
MIN_DENIALS = 10
MAX_OLD = 100


@strawberry.enum(description="Why a key needs attention.")
class AttentionReason(Enum):
    EXPIRES_SOON = value("expires_soon", "The key expires within 14 days.")
    RATE_LIMITED = value("rate_limited", "At least 10 checks were denied by a rate limit in the last 24 hours.")
    UNUSED = value("unused", "The key is older than 90 days and was not used in the last 90 days.")


@strawberry.type(description="A key that needs attention, and why.")
class KeyAttention:
    key: Key = strawberry.field(description="The key.")
    reason: AttentionReason = strawberry.field(description="Why it needs attention.")
    at: datetime | None = strawberry.field(
        description="When the key expires or was last used; null for RATE_LIMITED and for keys that were never used."
    )
    denials: BigInt = strawberry.field(description="Number of checks denied by a rate limit; 0 for other reasons.")


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at an account's keys."""

    info: Info
    tx: Tx
    account_id: AccountId
    most: int

    async def expiring(self) -> list[KeyAttention]:
        rows = await keys.list_expiring(self.tx, self.account_id, self.tx.now + SOON, self.most)
        return [self._attention(row, AttentionReason.EXPIRES_SOON, row.expires_at) for row in rows]

    async def limited(self) -> list[KeyAttention]:
        query = usage.UsageQuery(
            start=self.tx.now - LATELY,
            end=self.tx.now,
            granularity=usage.Granularity.HOUR,
            group_by=usage.UsageGroup.KEY,
            filter=usage.UsageFilter(outcome="RATE_LIMITED"),
        )
        series = await usage.usage_series(self.tx, self.account_id, query)
        calls = {group.key: group.totals.calls for group in series.groups}
        denials = {key_id: count for key_id, count in calls.items() if count >= MIN_DENIALS}
        rows = await keys.list_keys_by_id(self.tx, self.account_id, list(denials)) if denials else []
        found = [self._attention(row, AttentionReason.RATE_LIMITED, None, denials[row.id]) for row in rows]
        return sorted(found, key=lambda attention: (-attention.denials, attention.key.id))

    async def unused(self, with_attention: list[KeyAttention]) -> list[KeyAttention]:
        """Return keys unused for a long time; the others' secrets are loaded along with them."""
        before = self.tx.now - UNUSED
        rows = await keys.list_older(self.tx, self.account_id, before, MAX_OLD)
        looked_at = [row.id for row in rows] + [str(other.key.id) for other in with_attention]
        last = await self.info.context.loaders.key_last_used.load_many(looked_at)
        unused = [(row, at) for row, at in zip(rows, last, strict=False) if at is None or at < before]
        return [self._attention(row, AttentionReason.UNUSED, at) for row, at in unused]

    def _attention(self, row: keys.Key, reason: AttentionReason, at: datetime | None, denials: int = 0) -> KeyAttention:
        return KeyAttention(key=Key.of(row, self.tx.now), reason=reason, at=at, denials=BigInt(denials))


@strawberry.type
class KeyHealthQueries:
    @resolver("Keys that need attention: expiring soon, then rate-limited, then unused ones (of the 100 oldest).")
    @requires(Permission.KEYS_READ)
    async def keys_needing_attention(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="Maximum number of keys: 1 to 100.")] = 10,
    ) -> list[KeyAttention]:
        tx = info.context.tx
        look = _Look(info, tx, info.context.actor.account_id, check_first(first))
        found = [*await look.expiring(), *await look.limited()]
        if len(found) < first:
            found += await look.unused(found)
        return found[:first]
