"""Which gateway calls: service tokens, remembered for a few seconds so that a check needs no look-up."""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from time import monotonic
from typing import TypeVar

from portal.accounts import authenticate_service
from portal.check.policy.single_flight import SingleFlight
from portal.core.database import Database, is_connection_lost

REMEMBER_SECONDS = 5.0
REFRESH_SECONDS = 2.5
"""A token in use is looked up again ahead of time, so that no check waits, not even for a database that hangs."""
TIMEOUT_SECONDS = 1.0
WHILE_AWAY_SECONDS = 3600.0
MAX_REMEMBERED = 10_000
MAX_CONCURRENT_UNKNOWN = 4
"""Anybody can send a token that nobody has; that must neither push out those in use nor take every connection."""

Entry = TypeVar("Entry")


@lru_cache(maxsize=1000)
def _digest(token: str) -> bytes:
    """A gateway sends the same token over and over."""
    return sha256(token.encode()).digest()


class _Known:
    """`told_at`: when PostgreSQL said so; `tried_at`: when it was last asked, with or without an answer."""

    __slots__ = ("service_id", "told_at", "tried_at")

    def __init__(self, service_id: str, now: float) -> None:
        self.service_id = service_id
        self.told_at = self.tried_at = now


class ServiceTokens:
    """`identify` answers the token's id; a revoked token stops working within REMEMBER_SECONDS."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._strange: OrderedDict[bytes, float] = OrderedDict()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_UNKNOWN)
        self._flights: SingleFlight[str | None] = SingleFlight()
        self._refreshes: dict[bytes, asyncio.Task[None]] = {}

    def known(self, token: str) -> str | None:
        """The id without a look-up, if this process looked lately."""
        digest = _digest(token)
        known = self._known.get(digest)
        age = monotonic() - known.tried_at if known is not None else REMEMBER_SECONDS
        if known is None or age >= REMEMBER_SECONDS:
            return None
        if age >= REFRESH_SECONDS and digest not in self._refreshes:
            task = asyncio.create_task(self._refresh(digest, token))
            self._refreshes[digest] = task
            task.add_done_callback(lambda _: self._refreshes.pop(digest, None))
        return known.service_id

    async def identify(self, token: str) -> str | None:
        """The service token's id, or None. While PostgreSQL is away a known token keeps its last answer for an hour."""
        digest = _digest(token)
        known = self._known.get(digest)
        if known is None:
            if self._strange.get(digest, 0.0) > monotonic():
                return None
            return await self._flights.run(digest, lambda: self._meet(digest, token))
        if monotonic() - known.tried_at < REMEMBER_SECONDS:
            return known.service_id
        return await self._ask_again(digest, token, known)

    async def _meet(self, digest: bytes, token: str) -> str | None:
        async with self._slots:
            return await self._look_up(digest, token)

    async def _refresh(self, digest: bytes, token: str) -> None:
        """Ahead of time and in nobody's way: a fault of ours is left to the look-up that somebody waits for."""
        with suppress(Exception):
            await self._ask_again(digest, token, self._known[digest])

    async def _ask_again(self, digest: bytes, token: str, known: _Known) -> str | None:
        try:
            # The look-up itself goes on: one that hangs is not joined by another for every check.
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await self._flights.run(digest, lambda: self._look_up(digest, token))
        except Exception as error:
            now = monotonic()
            if is_connection_lost(error) and now - known.told_at < WHILE_AWAY_SECONDS:
                known.tried_at = now
                return known.service_id
            raise

    async def _look_up(self, digest: bytes, token: str) -> str | None:
        now = monotonic()
        async with self._database.transaction() as tx:
            row = await authenticate_service(tx, token)
        if row is None:
            self._known.pop(digest, None)
            _keep(self._strange, digest, now + REMEMBER_SECONDS)
            return None
        _keep(self._known, digest, _Known(row.id, now))
        return row.id


def _keep(entries: OrderedDict[bytes, Entry], digest: bytes, entry: Entry) -> None:
    """As the newest of at most MOST."""
    entries[digest] = entry
    entries.move_to_end(digest)
    while len(entries) > MAX_REMEMBERED:
        entries.popitem(last=False)
