"""What happens after a change to what keys may do: the account's record is raised before the caller is answered."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic

import msgspec

from portal.accounts import ServiceTokenRevoked
from portal.check.shared_tokens import SharedTokens
from portal.core.concurrency.background_tasks import BackgroundTasks
from portal.core.logs import get_log
from portal.core.messaging.events import Event, PolicyChanged
from portal.limits import Limiter, LimitsUnavailable

TIMEOUT_SECONDS = 1.0
RETRY_SECONDS = 0.05


class PolicyInvalidator:
    """Given to the Database as `after_commit`, and to the outbox relay, which repeats it."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._tokens = SharedTokens(limiter)
        self.listeners: list[Callable[[str, int], None]] = []
        """Called with each change of this process at once, Redis or not."""
        self._tasks = BackgroundTasks()

    async def after_commit(self, events: Sequence[Event]) -> None:
        """Raise each account's version. A Redis that stays away is left to the outbox relay, and logged."""
        newest: dict[str, int] = {}
        for event in events:
            if isinstance(event, PolicyChanged):
                newest[event.account_id] = max(event.version, newest.get(event.account_id, 0))
            elif isinstance(event, ServiceTokenRevoked):
                self._tasks.start(self._revoke_token(event.token_digest))
        for account_id, version in newest.items():
            await self._raise(account_id, version)

    async def handle_relayed(self, message: bytes) -> None:
        """Do the same again from the outbox: the process may have died between its commit and Redis.

        Raises LimitsUnavailable.
        """
        event = msgspec.json.decode(message)
        if event["type"] == ServiceTokenRevoked.wire_type:
            await self._tokens.revoke(bytes.fromhex(event["body"]["token_digest"]))
        if event["type"] == PolicyChanged.wire_type:
            await self._limiter.raise_policy_version(event["body"]["account_id"], event["body"]["version"])

    async def _revoke_token(self, digest: str) -> None:
        """Tell Redis at once; where no shard answers, the outbox relay does it."""
        with suppress(LimitsUnavailable):
            await self._tokens.revoke(bytes.fromhex(digest))

    async def _raise(self, account_id: str, version: int) -> None:
        """Try for a second at most; for a Redis that stays away the rest is done in the background once it is back."""
        for listener in self.listeners:
            listener(account_id, version)
        until = monotonic() + TIMEOUT_SECONDS
        while monotonic() < until:
            try:
                await self._limiter.raise_policy_version(account_id, version)
                return
            except LimitsUnavailable:
                await asyncio.sleep(RETRY_SECONDS)
        get_log(__name__).error("policy_version_not_raised", account=account_id, version=version)
        self._tasks.start(self._raise_later(account_id, version))

    async def _raise_later(self, account_id: str, version: int) -> None:
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            try:
                await self._limiter.raise_policy_version(account_id, version)
                return
            except LimitsUnavailable:
                continue
