"""Who watches which account in this process, and the one poller and channel that serve them all."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from portal.core.database import Database
from portal.core.errors import PortalError
from portal.core.ids import AccountId
from portal.core.logs import get_log
from portal.core.redis.address import parse_shard
from portal.graphql.live.key_events import KeyEvent
from portal.graphql.live.listener import Listener
from portal.graphql.live.queue import BoundedQueue
from portal.graphql.live.snapshots import UsageSnapshot, load_snapshot
from portal.limits import Limiter

EVERY_SECONDS = 1.0
MAX_TELLING = 8
"""So many events are worked out at once, each in a transaction of its own."""
MAX_READING = 2
"""So many accounts are read at once; with more of them watched each is read a little later."""
MAX_EVENTS = 100


class Interrupted(PortalError):
    """Events may have been missed."""

    code = "INTERRUPTED"


class _Account:
    def __init__(self) -> None:
        self.counting: set[BoundedQueue[UsageSnapshot]] = set()
        self.hearing: set[BoundedQueue[KeyEvent]] = set()
        self.newest: UsageSnapshot | None = None
        self.poller: asyncio.Task[None] | None = None


class SubscriptionHub:
    """One a process. `watch_counters` and `watch_keys` are open as long as their subscriber is there."""

    def __init__(self, database: Database, limiter: Limiter, urls: Sequence[str]) -> None:
        self._database = database
        self._limiter = limiter
        self._accounts: dict[AccountId, _Account] = {}
        self._reading = asyncio.Semaphore(MAX_READING)
        self.telling = asyncio.Semaphore(MAX_TELLING)
        self._listeners = {name: self._listener(name, url) for name, url in ((parse_shard(u).name, u) for u in urls)}

    def open(self) -> None:
        for listener in self._listeners.values():
            listener.open()

    async def close(self) -> None:
        pollers = [account.poller for account in self._accounts.values() if account.poller is not None]
        for poller in pollers:
            poller.cancel()
        await asyncio.gather(*pollers, return_exceptions=True)
        await asyncio.gather(*[listener.close() for listener in self._listeners.values()])

    def sizes(self) -> dict[str, int]:
        """Return how many of each are held now: all zero when nobody watches."""
        watched = self._accounts.values()
        return {
            "accounts": len(watched),
            "subscribers": sum(len(account.counting) + len(account.hearing) for account in watched),
            "pollers": sum(account.poller is not None for account in watched),
            "channels": sum(len(listener.channels) for listener in self._listeners.values()),
        }

    @asynccontextmanager
    async def watch_counters(self, account_id: AccountId) -> AsyncIterator[BoundedQueue[UsageSnapshot]]:
        """Open a queue of the counters: now, then whenever they change. A slow reader gets the newest only."""
        account, queue = self._account(account_id), BoundedQueue[UsageSnapshot](1, is_newest_only=True)
        account.counting.add(queue)
        if account.newest is not None:
            queue.put(account.newest)
        if account.poller is None:
            account.poller = asyncio.create_task(self._poll(account_id, account))
        try:
            yield queue
        finally:
            account.counting.discard(queue)
            if not account.counting and account.poller is not None:
                account.poller.cancel()
                account.poller, account.newest = None, None
            self._drop_if_unwatched(account_id)

    @asynccontextmanager
    async def watch_keys(self, account_id: AccountId) -> AsyncIterator[BoundedQueue[KeyEvent]]:
        """Open a queue of everything that happens to the account's keys. Raises Unavailable while Redis is away."""
        account, queue = self._account(account_id), BoundedQueue[KeyEvent](MAX_EVENTS)
        account.hearing.add(queue)
        listener = self._listeners[self._shard(account_id)]
        try:
            await listener.join(account_id)
            yield queue
        finally:
            account.hearing.discard(queue)
            self._drop_if_unwatched(account_id)
            await listener.leave(account_id)

    def _account(self, account_id: AccountId) -> _Account:
        return self._accounts.setdefault(account_id, _Account())

    def _drop_if_unwatched(self, account_id: AccountId) -> None:
        account = self._accounts.get(account_id)
        if account is not None and not account.counting and not account.hearing:
            del self._accounts[account_id]

    def _shard(self, account_id: str) -> str:
        return self._limiter.shard_of(account_id).connection.name

    def _listener(self, name: str, url: str) -> Listener:
        return Listener(url, self._hear, lambda: self._interrupt(name))

    def _hear(self, event: KeyEvent) -> None:
        account = self._accounts.get(AccountId(event.account_id))
        for queue in [*account.hearing] if account is not None else ():
            queue.put(event)

    def _interrupt(self, shard: str) -> None:
        for account_id, account in self._accounts.items():
            if self._shard(account_id) == shard:
                for queue in account.hearing:
                    queue.end(Interrupted("Events may have been missed.", hint="Read anew, and subscribe again."))

    async def _poll(self, account_id: AccountId, account: _Account) -> None:
        while True:
            try:
                async with self._reading:
                    counters = await load_snapshot(self._database, account_id)
            except Exception as error:
                get_log(__name__).warning("counters_not_read", account=account_id, error=repr(error))
            else:
                if not counters.is_like(account.newest):
                    account.newest = counters
                    for queue in account.counting:
                        queue.put(counters)
            await asyncio.sleep(EVERY_SECONDS)
