"""What happens after a change to what keys may do: the account's record is raised before the caller is answered."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from time import monotonic

import msgspec

from portal.accounts import PolicyChanged, ServiceTokenRevoked
from portal.check.shared_tokens import SharedTokens
from portal.core.concurrency.background_tasks import BackgroundTasks
from portal.core.concurrency.worker_loop import Backoff
from portal.core.logs import get_log
from portal.core.messaging.outbox import Event
from portal.limits import Limiter, LimitsUnavailable

Heal = Callable[[str, int | None], Awaitable[object]]
TIMEOUT_SECONDS = 1.0
RETRY_SECONDS = 0.05


class PolicyInvalidator:
    """Given to the Database as `after_commit`, and to the outbox relay, which repeats it."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._tokens = SharedTokens(limiter)
        self.listeners: list[Callable[[str, int], None]] = []
        """Called with each change of this process at once, Redis or not."""
        self.heal: Heal | None = None
        """Called with an account and the version that PostgreSQL must have reached, None where it was restored."""
        self._tasks = BackgroundTasks()

    async def after_commit(self, events: Sequence[Event]) -> None:
        """Raise each account's version. A Redis that stays away is left to the outbox relay, and logged."""
        for event in events:
            if isinstance(event, PolicyChanged):
                await self._raise(event)
            elif isinstance(event, ServiceTokenRevoked):
                self._tasks.start(self._revoke_token(event.token_digest))

    async def handle_relayed(self, message: bytes) -> None:
        """Do the same again from the outbox: the process may have died between its commit and Redis.

        Raises LimitsUnavailable, and what PostgreSQL raises where it has to be healed.
        """
        event = msgspec.json.decode(message)
        if event["type"] == ServiceTokenRevoked.wire_type:
            await self._tokens.revoke(bytes.fromhex(event["body"]["token_digest"]))
        if event["type"] == PolicyChanged.wire_type:
            change = msgspec.convert(event["body"], PolicyChanged)
            known = await self._raise_in_redis(change)
            if known < 0 and self.heal is not None:
                await self.heal(change.account_id, None)

    async def _revoke_token(self, digest: str) -> None:
        """Tell Redis at once; where no shard answers, the outbox relay does it."""
        with suppress(LimitsUnavailable):
            await self._tokens.revoke(bytes.fromhex(digest))

    async def _raise(self, event: PolicyChanged) -> None:
        """Try for a second at most; for a Redis that stays away the rest is done in the background once it is back."""
        for listener in self.listeners:
            listener(event.account_id, event.version)
        until = monotonic() + TIMEOUT_SECONDS
        while monotonic() < until:
            try:
                known = await self._raise_in_redis(event)
            except LimitsUnavailable:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                if known:
                    await self._handle_newer(event, known)
                return
        get_log(__name__).error("policy_version_not_raised", account=event.account_id, version=event.version)
        self._tasks.start(self._raise_later(event))

    async def _raise_later(self, event: PolicyChanged) -> None:
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            try:
                known = await self._raise_in_redis(event)
            except LimitsUnavailable:
                continue
            if known:
                await self._handle_newer(event, known)
            return

    async def _raise_in_redis(self, event: PolicyChanged) -> int:
        return await self._limiter.raise_policy_version(event.account_id, event.version, event.change, event.tombstones)

    async def _handle_newer(self, event: PolicyChanged, known: int) -> None:
        """Redis has a later version (`known`), or below 0: this one from another change, so PostgreSQL was restored.

        Then the change must not be answered before Redis has a version of its own for it. Where changes have only
        overtaken one another, PostgreSQL has the later version and nothing is done. A proof of a restore holds whatever
        version PostgreSQL has by now: other changes may have caught up.
        """
        if self.heal is None:
            return
        try:
            await self.heal(event.account_id, _below(known))
        except Exception as error:
            get_log(__name__).error("policy_version_not_healed", account=event.account_id, error=repr(error))
            self._tasks.start(self._heal_later(self.heal, event.account_id, _below(known)))

    async def _heal_later(self, heal: Heal, account_id: str, below: int | None) -> None:
        backoff = Backoff()
        while True:
            await asyncio.sleep(backoff.next_seconds())
            with suppress(Exception):
                await heal(account_id, below)
                return


def _below(known: int) -> int | None:
    """Return the version that PostgreSQL must have reached, for what raising answered; None: it was restored."""
    return known if known > 0 else None
