"""Which gateway calls: service tokens, remembered for a few seconds so that a check needs no look-up.

Only PostgreSQL's "there is no such token" takes a known token out of force; any error leaves the last answer valid, for
as long as an outage may last. A process that starts meanwhile takes what it knows from Redis: shared_tokens.py.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from time import monotonic, time
from typing import TypeVar

from portal.accounts import ServiceToken, authenticate_service, list_service_tokens, revoke_service_token
from portal.check.shared_tokens import SharedTokens
from portal.core.actor import SYSTEM
from portal.core.concurrency.single_flight import SingleFlight
from portal.core.database import Database
from portal.core.logs import get_log
from portal.limits import LimitsUnavailable

REMEMBER_SECONDS = 5.0
REFRESH_SECONDS = 2.5
"""A token in use is looked up again ahead of time, so that no check waits, not even for a database that hangs."""
TIMEOUT_SECONDS = 1.0
OUTAGE_SECONDS = 24 * 3600.0
SHARE_SECONDS = 60.0
"""How often a process repeats to Redis that a token is valid."""
LOAD_TIMEOUT_SECONDS = 5.0
RETRY_SECONDS = 0.5
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

    __slots__ = ("confirmed_at", "service_token_id", "tried_at")

    def __init__(self, service_token_id: str, confirmed_at: float) -> None:
        self.service_token_id = service_token_id
        self.confirmed_at = self.tried_at = confirmed_at


class ServiceTokens:
    """The service tokens that a process knows; a revoked one stops working within REMEMBER_SECONDS.

    `is_loaded`: they were read once, from PostgreSQL or Redis, so that checks may be sent here.
    """

    def __init__(
        self,
        database: Database,
        shared: SharedTokens,
        *,
        outage_seconds: float = OUTAGE_SECONDS,
        on_failed: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_failed` is called whenever PostgreSQL did not answer: a token in use is looked up every few seconds."""
        self.is_loaded = False
        self._database = database
        self._shared = shared
        self._outage_seconds = outage_seconds
        self._cached: OrderedDict[bytes, _CachedToken] = OrderedDict()
        self._unknown: OrderedDict[bytes, float] = OrderedDict()
        self._shared_at: dict[bytes, float] = {}
        self._failed_at = -REMEMBER_SECONDS
        self._on_failed = on_failed
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_UNKNOWN)
        self._flights: SingleFlight[str | None] = SingleFlight()
        self._refreshes: dict[bytes, asyncio.Task[None]] = {}
        self._loading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Load the tokens; where nobody answers within a second it goes on in the background."""
        self._loading = asyncio.create_task(self._keep_loading())
        await asyncio.wait({self._loading}, timeout=TIMEOUT_SECONDS)

    async def close(self) -> None:
        """End what is under way."""
        tasks = [*self._refreshes.values(), *([self._loading] if self._loading else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

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
        return cached.service_token_id

    async def identify(self, token: str) -> str | None:
        """Return the token's id, or None. During an outage of PostgreSQL a known token keeps its last answer.

        Raises what PostgreSQL raises when neither this process nor Redis knows the token, or the outage is too long.
        """
        digest = _digest(token)
        cached = self._cached.get(digest)
        if cached is None:
            if self._unknown.get(digest, 0.0) > monotonic():
                return None
            return await self._flights.run(digest, lambda: self._look_up_unknown(digest, token))
        if monotonic() - cached.tried_at < REMEMBER_SECONDS:
            return cached.service_token_id
        return await self._confirm(digest, token, cached)

    async def _look_up_unknown(self, digest: bytes, token: str) -> str | None:
        """Ask PostgreSQL, then Redis; just after PostgreSQL failed the other way round, to queue for nothing."""
        if monotonic() - self._failed_at < REMEMBER_SECONDS and (known := await self._find_shared(digest)) is not None:
            return known
        async with self._slots:
            try:
                async with asyncio.timeout(LOAD_TIMEOUT_SECONDS):
                    return await self._look_up(digest, token)
            except Exception:
                self._note_failure()
                if (known := await self._find_shared(digest)) is None:
                    raise
                return known

    async def _refresh(self, digest: bytes, token: str) -> None:
        """Look up ahead of time; a fault of ours is left to the look-up that somebody waits for."""
        with suppress(Exception):
            await self._confirm(digest, token, self._cached[digest])

    async def _confirm(self, digest: bytes, token: str, cached: _CachedToken) -> str | None:
        try:
            # The look-up itself goes on: one that hangs is not joined by another for every check.
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await self._flights.run(digest, lambda: self._look_up(digest, token))
        except Exception:
            now = self._note_failure()
            if now - cached.confirmed_at >= self._outage_seconds:
                raise
            cached.tried_at = now
            return cached.service_token_id

    def _note_failure(self) -> float:
        """Note that PostgreSQL did not answer, and return when: now."""
        self._failed_at = monotonic()
        self._on_failed()
        return self._failed_at

    async def _look_up(self, digest: bytes, token: str) -> str | None:
        now = monotonic()
        async with self._database.transaction() as tx:
            row = await authenticate_service(tx, token)
        if row is not None and await self._is_revoked_in_redis(digest):
            await self._revoke_again(row.id)
            row = None
        if row is None:
            if self._cached.pop(digest, None) is not None:
                await self._shared.forget(digest)
            _store(self._unknown, digest, now + REMEMBER_SECONDS)
            return None
        _store(self._cached, digest, _CachedToken(row.id, now))
        if now - self._shared_at.get(digest, 0.0) >= SHARE_SECONDS:
            self._shared_at[digest] = now
            await self._shared.publish({digest: row.id})
        return row.id

    async def _is_revoked_in_redis(self, digest: bytes) -> bool:
        return bool(await _or_none(self._shared.is_revoked(digest)))

    async def _revoke_again(self, token_id: str) -> None:
        """Write back a revocation that PostgreSQL has lost; it is refused in any case."""
        get_log(__name__).error("service_token_revocation_lost", token=token_id)
        with suppress(Exception):
            async with self._database.transaction() as tx:
                await revoke_service_token(tx, SYSTEM, token_id)

    async def _find_shared(self, digest: bytes) -> str | None:
        """Return the id of a token that another process has lately confirmed, and remember it as of then."""
        token = await _or_none(self._shared.find(digest))
        if token is None:
            return None
        return self._remember_shared({digest: (token.id, token.confirmed_at)}).get(digest)

    def _remember_shared(self, tokens: dict[bytes, tuple[str, float]]) -> dict[bytes, str]:
        now, wall_clock = monotonic(), time()
        remembered: dict[bytes, str] = {}
        for digest, (service_token_id, confirmed_at) in tokens.items():
            age = max(0.0, wall_clock - confirmed_at)
            if age < self._outage_seconds and digest not in self._cached:
                cached = _CachedToken(service_token_id, now - age)
                cached.tried_at = now
                _store(self._cached, digest, cached)
                remembered[digest] = service_token_id
        return remembered

    async def _keep_loading(self) -> None:
        while not self.is_loaded:
            self.is_loaded = await self._load()
            if not self.is_loaded:
                await asyncio.sleep(RETRY_SECONDS)

    async def _load(self) -> bool:
        """Load every token from PostgreSQL, else from Redis. Returns whether either had an answer."""
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_SECONDS), self._database.transaction() as tx:
                rows = await list_service_tokens(tx, most=MAX_REMEMBERED)
        except Exception:
            return await self._load_shared()
        await self._take(rows)
        return True

    async def _take(self, rows: list[ServiceToken]) -> None:
        now = monotonic()
        lost = await _or_none(self._shared.list_revoked()) or set()
        valid = {
            row.token_digest: row.id for row in rows[::-1] if row.revoked_at is None and row.token_digest not in lost
        }
        for digest, service_token_id in valid.items():
            _store(self._cached, digest, _CachedToken(service_token_id, now))
            self._shared_at[digest] = now
        await self._shared.publish(valid)
        with suppress(LimitsUnavailable):
            await self._shared.revoke(*[row.token_digest for row in rows if row.revoked_at is not None])

    async def _load_shared(self) -> bool:
        tokens = await _or_none(self._shared.list_valid())
        if not tokens:
            return False
        self._remember_shared({digest: (token.id, token.confirmed_at) for digest, token in tokens.items()})
        get_log(__name__).warning("service_tokens_from_redis", tokens=len(self._cached))
        return bool(self._cached)


async def _or_none(call: Awaitable[Entry]) -> Entry | None:
    """Return Redis's answer, None when it has none: what it would have added is not known then."""
    with suppress(LimitsUnavailable, ValueError):
        return await call
    return None


def _store(entries: OrderedDict[bytes, Entry], digest: bytes, entry: Entry) -> None:
    """Store an entry as the newest of at most MAX_REMEMBERED."""
    entries[digest] = entry
    entries.move_to_end(digest)
    while len(entries) > MAX_REMEMBERED:
        entries.popitem(last=False)
