"""Who stays connected: up to a bound, and only as long as their session or token is valid."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from portal.accounts import CredentialStatus, load_credential_status, token_digest
from portal.core.database import Database
from portal.core.errors import PortalError
from portal.core.logs import get_log
from web.auth.identity import Caller

MAX_ACCOUNT = 100
MAX_PROCESS = 5_000
CHECK_SECONDS = 2.0
"""A sign-out or a revoked token ends its connections within this time."""


class TooManyConnections(PortalError):
    """The account or the process has as many connections as it may."""

    code = "TOO_MANY_CONNECTIONS"
    http_status = 429


@dataclass(eq=False, slots=True)
class LiveConnection:
    """One connection. `ended` is set once it must stop; `reason` and `code` say why."""

    caller: Caller
    digest: bytes
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    reason: str = ""
    code: str = "UNAUTHENTICATED"

    def end(self, reason: str, code: str = "UNAUTHENTICATED") -> None:
        if not self.reason:
            self.reason, self.code = reason, code
        self.ended.set()


class ConnectionRegistry:
    """The live connections of this process. One statement every two seconds checks all their credentials."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connections: set[LiveConnection] = set()
        self._by_account: Counter[str] = Counter()
        self._checking: asyncio.Task[None] | None = None
        self._waiting: set[LiveConnection] = set()
        self._lock = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._connections)

    @asynccontextmanager
    async def register(self, caller: Caller) -> AsyncIterator[LiveConnection]:
        """Count a connection for as long as the context lasts. Raises TooManyConnections."""
        account_id = caller.actor.account_id
        if self._by_account[account_id] >= MAX_ACCOUNT or len(self._connections) >= MAX_PROCESS:
            raise TooManyConnections("Too many connections are open.", hint="Close some, or share one.")
        connection = LiveConnection(caller, token_digest(caller.credential))
        self._connections.add(connection)
        self._by_account[account_id] += 1
        if self._checking is None:
            self._checking = asyncio.create_task(self._check_always())
        try:
            yield connection
        finally:
            self._connections.discard(connection)
            self._waiting.discard(connection)
            self._by_account[account_id] -= 1
            if not self._by_account[account_id]:
                del self._by_account[account_id]
            if not self._connections and self._checking is not None:
                self._checking.cancel()
                self._checking = None

    async def confirm(self, connection: LiveConnection) -> bool:
        """Return whether the connection may go on, by a look-up that begins after this call; else end it.

        Calls that come while a look-up is under way share the next one. Raises what the database raises.
        """
        self._waiting.add(connection)
        async with self._lock:
            if connection in self._waiting:
                waiting, self._waiting = self._waiting, set()
                try:
                    await self._check(waiting)
                except BaseException:
                    self._waiting |= waiting & self._connections  # none of them was looked up
                    raise
        return not connection.ended.is_set()

    def end_all(self) -> None:
        """End every connection: the process stops."""
        for connection in [*self._connections]:
            connection.end("The portal is shutting down; connect again.", "INTERRUPTED")

    async def _check_always(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                await self._check([*self._connections])
            except Exception as error:
                get_log(__name__).warning("connections_not_checked", error=repr(error))

    async def _check(self, connections: Collection[LiveConnection]) -> None:
        async with self._database.transaction() as tx:
            statuses = await load_credential_status(tx, {connection.digest for connection in connections})
        for connection in connections:
            actor = connection.caller.actor
            if actor.role is None or statuses.get(connection.digest) != CredentialStatus(
                actor.account_id, actor.role, actor.is_staff
            ):
                connection.end("The session or token is no longer valid, or its account or role has changed.")
