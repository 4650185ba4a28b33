"""What happens after a change to what keys may do: the account's record is raised before the caller is answered."""

import asyncio
from collections.abc import Sequence
from time import monotonic

import msgspec

from portal.core.events import Event, PolicyChanged
from portal.core.logs import get_log
from portal.limits import Limiter, LimitsUnavailable

CHANNEL = "policy.changed"
PATIENCE_SECONDS = 1.0


class PolicyChanges:
    """Given to the Database as `after_commit`, and to the outbox relay, which repeats it."""

    def __init__(self, limiter: Limiter, *, is_published: bool) -> None:
        self._limiter = limiter
        self._is_published = is_published

    async def after_commit(self, events: Sequence[Event]) -> None:
        """Raise each account's version. A Redis that stays away is left to the outbox relay, and logged."""
        newest: dict[str, int] = {}
        for event in events:
            if isinstance(event, PolicyChanged):
                newest[event.account_id] = max(event.version, newest.get(event.account_id, 0))
        for account_id, version in newest.items():
            await self._raise(account_id, version)

    async def relayed(self, message: bytes) -> None:
        """The same from the outbox, in case the process died between its commit and Redis. Raises LimitsUnavailable."""
        event = msgspec.json.decode(message)
        if event["type"] == PolicyChanged.type_name():
            await self.apply(event["body"]["account_id"], event["body"]["version"])

    async def _raise(self, account_id: str, version: int) -> None:
        until = monotonic() + PATIENCE_SECONDS
        while True:
            try:
                await self.apply(account_id, version)
                return
            except LimitsUnavailable as error:
                if monotonic() >= until:
                    get_log(__name__).error("policy_version_not_raised", account=account_id, error=str(error))
                    return
                await asyncio.sleep(0.05)

    async def apply(self, account_id: str, version: int) -> None:
        """Idempotent. Raises LimitsUnavailable."""
        await self._limiter.raise_policy_version(account_id, version)
        if self._is_published:
            shard = self._limiter.shard_of(account_id)
            await shard.connection.call("PUBLISH", CHANNEL, f"{account_id} {version}")
