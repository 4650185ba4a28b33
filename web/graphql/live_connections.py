"""Who stays connected: at most so many, and only as long as their session or token is good."""

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
    """One connection. `ended` is set when it may go on no longer; `reason` and `code` say why."""

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
    """Of one process. One statement each two seconds looks after all of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: set[LiveConnection] = set()
        self._by_account: Counter[str] = Counter()
        self._checker: asyncio.Task[None] | None = None
        self._asking: set[LiveConnection] = set()
        self._turn = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._held)

    @asynccontextmanager
    async def register(self, caller: Caller) -> AsyncIterator[LiveConnection]:
        """Inside, the connection counts. Raises TooManyConnections."""
        account_id = caller.actor.account_id
        if self._by_account[account_id] >= MAX_ACCOUNT or len(self._held) >= MAX_PROCESS:
            raise TooManyConnections("Too many connections are open.", hint="Close some, or share one.")
        held = LiveConnection(caller, token_digest(caller.credential))
        self._held.add(held)
        self._by_account[account_id] += 1
        if self._checker is None:
            self._checker = asyncio.create_task(self._check_always())
        try:
            yield held
        finally:
            self._held.discard(held)
            self._asking.discard(held)
            self._by_account[account_id] -= 1
            if not self._by_account[account_id]:
                del self._by_account[account_id]
            if not self._held and self._checker is not None:
                self._checker.cancel()
                self._checker = None

    async def confirm(self, held: LiveConnection) -> bool:
        """Whether it may go on, looked up after this was asked; else it is ended. Raises what the database raises.

        Whoever asks while another look is under way is looked up by the next one, all of them in one statement.
        """
        self._asking.add(held)
        async with self._turn:
            if held in self._asking:
                asking, self._asking = self._asking, set()
                try:
                    await self._check(asking)
                except BaseException:
                    self._asking |= asking & self._held  # nobody of them was looked up
                    raise
        return not held.ended.is_set()

    def end_all(self) -> None:
        """The process stops."""
        for held in [*self._held]:
            held.end("The portal is shutting down; connect again.", "INTERRUPTED")

    async def _check_always(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                await self._check([*self._held])
            except Exception as error:
                get_log(__name__).warning("connections_not_checked", error=repr(error))

    async def _check(self, held: Collection[LiveConnection]) -> None:
        async with self._database.transaction() as tx:
            found = await load_credential_status(tx, {one.digest for one in held})
        for one in held:
            actor = one.caller.actor
            if actor.role is None or found.get(one.digest) != CredentialStatus(
                actor.account_id, actor.role, actor.is_staff
            ):
                one.end("The session or token is no longer valid, or its account or role has changed.")
