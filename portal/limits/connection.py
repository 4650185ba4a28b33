"""A standing connection to a shard's master: opens a link, and another one whenever it is lost.

Nothing is ever sent twice. Without a link, calls fail at once while one is opened in the background. Each link begins
with the question who is master: of the Sentinels, if there are any, and of the server itself. It ends when the server
refuses as one that may no longer write, or when most Sentinels have come to name another.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from time import monotonic

import hiredis

from portal.core.logs import get_log
from portal.core.redis.address import Place, parse_shard
from portal.limits.link import Command, LimitsUnavailable, Link, OnReply, Reply
from portal.limits.sentinels import Sentinels

RECONNECT_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5)
HANDSHAKE_SECONDS = 1.0
BRIEF_SECONDS = 1.0
"""A link that lives shorter counts as a failed attempt, so that a server that refuses is not asked in a circle."""
WATCH_SECONDS = 1.0
FAILURES = (OSError, TimeoutError, LimitsUnavailable, hiredis.ReplyError)
NO_MASTER = ("READONLY", "MASTERDOWN", "NOREPLICAS")
"""How a server says that it is not, or may not be, the one that writes."""


class Connection:
    """`url` as in portal.core.redis.address. `deadline_s` bounds every call that brings no patience of its own."""

    def __init__(self, url: str, deadline_s: float) -> None:
        self._address = parse_shard(url)
        self.name = self._address.name
        self.connected = 0
        """How often, since the start."""
        self.place: Place | None = None
        """Of the server that the last link led to."""
        self._sentinels = Sentinels(self._address) if self._address.master is not None else None
        self.deadline_s = deadline_s
        self._link: Link | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.on_connected: Callable[[], None] = lambda: None

    @property
    def is_connected(self) -> bool:
        return self._link is not None and not self._link.lost.is_set()

    async def open(self) -> None:
        """Try to connect once, then keep trying in the background."""
        try:
            self._link = await self._connect()
        except FAILURES as error:
            get_log(__name__).warning("redis_unreachable", server=self.name, error=str(error) or repr(error))
        self._tasks.append(asyncio.create_task(self._keep_connected()))
        if self._sentinels is not None:
            self._tasks.append(asyncio.create_task(self._watch(self._sentinels)))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._link is not None:
            self._link.abort()
        if self._sentinels is not None:
            await self._sentinels.close()

    def note_refusal(self, reply: Reply) -> None:
        """Leave a server that says that it is no master; whoever waits there is told LimitsUnavailable."""
        if _says_no_master(reply):
            self._drop(str(reply))

    def send(self, on_reply: OnReply, *command: bytes | str | int, patience_s: float | None = None) -> None:
        """Send now; `on_reply` is called later, or at once when there is no link."""
        if self._link is None:
            on_reply(LimitsUnavailable(f"not connected to {self.name}"))
        else:
            self._link.send(on_reply, command, patience_s or self.deadline_s)

    def write(self, on_reply: OnReply, command: bytes) -> None:
        """`send` for a command in the protocol's own form."""
        if self._link is None:
            on_reply(LimitsUnavailable(f"not connected to {self.name}"))
        else:
            self._link.write(on_reply, command, self.deadline_s)

    async def call(self, *command: bytes | str | int, patience_s: float | None = None) -> Reply:
        """Send and wait, for the deadline or `patience_s`.

        Raises LimitsUnavailable, also for a server that refuses (out of memory, read only, its disk full), and
        hiredis.ReplyError for a script that it does not know.
        """
        try:
            return await _reply_to(lambda on_reply: self.send(on_reply, *command, patience_s=patience_s))
        except hiredis.ReplyError as error:
            self.note_refusal(error)
            if str(error).startswith("NOSCRIPT"):
                raise
            raise LimitsUnavailable(str(error)) from error

    async def _connect(self) -> Link:
        """To the first server that is a master, of those that most Sentinels name."""
        failure: Exception = LimitsUnavailable(f"no Sentinel knows where {self.name} is")
        for place in await self._places():
            try:
                link = await self._connect_to(place)
            except FAILURES as error:
                failure = error
            else:
                self.place = place
                self.connected += 1
                return link
        raise failure

    async def _places(self) -> list[Place]:
        if self._sentinels is None:
            return [*self._address.places]
        return [place for place, _ in (await self._sentinels.masters()).most_common()]

    async def _connect_to(self, place: Place) -> Link:
        link = Link(self.name)
        context = self._address.tls_context()
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                await asyncio.get_running_loop().create_connection(lambda: link, *place, ssl=context)
                for command in self._handshake():
                    await _reply_to(partial(_send, link, command))
                await self._require_master(link)
        except BaseException:
            link.abort()
            raise
        return link

    def _handshake(self) -> list[Command]:
        commands: list[Command] = []
        user, password = self._address.user, self._address.password
        if password:
            commands.append(("AUTH", user, password) if user else ("AUTH", password))
        if self._address.database:
            commands.append(("SELECT", self._address.database))
        return [*commands, ("CLIENT", "SETNAME", "portal"), ("PING",)]

    async def _require_master(self, link: Link) -> None:
        """A server without Sentinels may not let us ask, as behind a proxy: then its refusals tell."""
        try:
            role = await _reply_to(partial(_send, link, ("ROLE",)))
        except hiredis.ReplyError:
            if self._sentinels is None:
                return
            raise
        if role[0] != b"master":
            raise LimitsUnavailable(f"what should be the master of {self.name} is a replica")

    async def _keep_connected(self) -> None:
        attempt = 0
        while True:
            if self._link is not None:
                began = monotonic()
                await self._link.lost.wait()
                self._link = None
                get_log(__name__).warning("redis_lost", server=self.name)
                attempt = attempt + 1 if monotonic() - began < BRIEF_SECONDS else 0
            if attempt:
                await asyncio.sleep(RECONNECT_SECONDS[min(attempt, len(RECONNECT_SECONDS)) - 1])
            try:
                self._link = await self._connect()
            except FAILURES:
                attempt += 1
                continue
            self.on_connected()
            get_log(__name__).info("redis_connected", server=self.name, place=self.place)

    async def _watch(self, sentinels: Sentinels) -> None:
        """A master that its Sentinels cannot reach may go on answering us: leave it once most of them name another."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if not self.is_connected:
                continue
            votes = await sentinels.masters()
            if votes and self.place is not None and votes.most_common(1)[0][1] > votes[self.place]:
                self._drop("its Sentinels name another master")

    def _drop(self, reason: str) -> None:
        if self._link is not None and self.is_connected:
            get_log(__name__).warning("redis_left", server=self.name, place=self.place, reason=reason)
            self._link.abort()


def _says_no_master(reply: Reply) -> bool:
    """Older servers wrap what a script ran into."""
    return isinstance(reply, hiredis.ReplyError) and any(sign in str(reply) for sign in NO_MASTER)


def _send(link: Link, command: Command, on_reply: OnReply) -> None:
    link.send(on_reply, command, HANDSHAKE_SECONDS)


async def _reply_to(send: Callable[[OnReply], None]) -> Reply:
    """The reply as a value; an error reply is raised."""
    future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def settle(reply: Reply) -> None:
        if not future.done():
            future.set_result(reply)

    send(settle)
    reply = await future
    if isinstance(reply, Exception):
        raise reply
    return reply
