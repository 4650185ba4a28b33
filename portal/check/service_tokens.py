"""Which gateway calls: service tokens, remembered for a few seconds so that a check needs no look-up."""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from time import monotonic
from typing import TypeVar

from portal.accounts import authenticate_service
from portal.core.concurrency.single_flight import SingleFlight
from portal.core.database import Database, is_connection_lost

REMEMBER_SECONDS = 5.0
REFRESH_SECONDS = 2.5
"""A token in use is looked up again ahead of time, so that no check waits, not even for a database that hangs."""
TIMEOUT_SECONDS = 1.0
OUTAGE_SECONDS = 3600.0
MAX_REMEMBERED = 10_000
MAX_CONCURRENT_UNKNOWN = 4
"""Anybody can send a token that nobody has; that must neither push out those in use nor take every connection."""

Entry = TypeVar("Entry")


@lru_cache(maxsize=1000)
def _digest(token: str) -> bytes:
    """Hash a token, once: a gateway sends the same one over and over."""
    return sha256(token.encode()).digest()


class _CachedToken:
    """`confirmed_at`: when PostgreSQL said so; `tried_at`: when it was last asked, with or without an answer."""

    __slots__ = ("confirmed_at", "service_id", "tried_at")

    def __init__(self, service_id: str, now: float) -> None:
        self.service_id = service_id
        self.confirmed_at = self.tried_at = now


class ServiceTokens:
    """The service tokens that a process knows; a revoked one stops working within REMEMBER_SECONDS."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cached: OrderedDict[bytes, _CachedToken] = OrderedDict()
        self._unknown: OrderedDict[bytes, float] = OrderedDict()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_UNKNOWN)
        self._flights: SingleFlight[str | None] = SingleFlight()
        self._refreshes: dict[bytes, asyncio.Task[None]] = {}

    def find_in_memory(self, token: str) -> str | None:
        """Return the id without a look-up, if this process looked lately."""
        digest = _digest(token)
        cached = self._cached.get(digest)
        age = monotonic() - cached.tried_at if cached is not None else REMEMBER_SECONDS
        if cached is None or age >= REMEMBER_SECONDS:
            return None
        if age >= REFRESH_SECONDS and digest not in self._refreshes:
            task = asyncio.create_task(self._refresh(digest, token))
            self._refreshes[digest] = task
            task.add_done_callback(lambda _: self._refreshes.pop(digest, None))
        return cached.service_id

    async def identify(self, token: str) -> str | None:
        """Return the token's id, or None. While PostgreSQL is away a known token keeps its last answer for an hour."""
        digest = _digest(token)
        cached = self._cached.get(digest)
        if cached is None:
            if self._unknown.get(digest, 0.0) > monotonic():
                return None
            return await self._flights.run(digest, lambda: self._look_up_unknown(digest, token))
        if monotonic() - cached.tried_at < REMEMBER_SECONDS:
            return cached.service_id
        return await self._confirm(digest, token, cached)

    async def _look_up_unknown(self, digest: bytes, token: str) -> str | None:
        async with self._slots:
            return await self._look_up(digest, token)

    async def _refresh(self, digest: bytes, token: str) -> None:
        """Look up ahead of time; a fault of ours is left to the look-up that somebody waits for."""
        with suppress(Exception):
            await self._confirm(digest, token, self._cached[digest])

    async def _confirm(self, digest: bytes, token: str, cached: _CachedToken) -> str | None:
        try:
            # The look-up itself goes on: one that hangs is not joined by another for every check.
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await self._flights.run(digest, lambda: self._look_up(digest, token))
        except Exception as error:
            now = monotonic()
            if is_connection_lost(error) and now - cached.confirmed_at < OUTAGE_SECONDS:
                cached.tried_at = now
                return cached.service_id
            raise

    async def _look_up(self, digest: bytes, token: str) -> str | None:
        now = monotonic()
        async with self._database.transaction() as tx:
            row = await authenticate_service(tx, token)
        if row is None:
            self._cached.pop(digest, None)
            _store(self._unknown, digest, now + REMEMBER_SECONDS)
            return None
        _store(self._cached, digest, _CachedToken(row.id, now))
        return row.id


def _store(entries: OrderedDict[bytes, Entry], digest: bytes, entry: Entry) -> None:
    """Store an entry as the newest of at most MAX_REMEMBERED."""
    entries[digest] = entry
    entries.move_to_end(digest)
    while len(entries) > MAX_REMEMBERED:
        entries.popitem(last=False)
