"""A standing connection to one Redis server: opens a link, and another one whenever it is lost.

Nothing is ever sent twice. Without a link, calls fail at once while one is opened in the background.
"""

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from urllib.parse import unquote, urlsplit

import hiredis

from portal.core.logs import get_log
from portal.limits.link import Command, LimitsUnavailable, Link, OnReply, Reply

RECONNECT_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5)
HANDSHAKE_SECONDS = 1.0
FAILURES = (OSError, TimeoutError, LimitsUnavailable, hiredis.ReplyError)


class Connection:
    """`url`: redis://[user:password@]host:port[/db], rediss:// for TLS.

    `deadline_s` bounds every call that brings no patience of its own.
    """

    def __init__(self, url: str, deadline_s: float) -> None:
        self._parts = urlsplit(url)
        self.name = f"{self._parts.hostname}:{self._parts.port or 6379}{self._parts.path}"
        self._deadline_s = deadline_s
        self._link: Link | None = None
        self._keeper: asyncio.Task[None] | None = None
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
        self._keeper = asyncio.create_task(self._keep_connected())

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._link is not None:
            self._link.abort()

    def send(self, on_reply: OnReply, *command: bytes | str | int, patience_s: float | None = None) -> None:
        """Send now; `on_reply` is called later, or at once when there is no link."""
        if self._link is None:
            on_reply(LimitsUnavailable(f"not connected to {self.name}"))
        else:
            self._link.send(on_reply, command, patience_s or self._deadline_s)

    async def call(self, *command: bytes | str | int, patience_s: float | None = None) -> Reply:
        """Send and wait, for the deadline or `patience_s`. Raises LimitsUnavailable, hiredis.ReplyError."""
        return await _reply_to(lambda on_reply: self.send(on_reply, *command, patience_s=patience_s))

    async def _connect(self) -> Link:
        link = Link(self.name)
        context = ssl.create_default_context() if self._parts.scheme == "rediss" else None
        host, port = self._parts.hostname or "127.0.0.1", self._parts.port or 6379
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                await asyncio.get_running_loop().create_connection(lambda: link, host, port, ssl=context)
                for command in self._handshake():
                    await _reply_to(partial(_send, link, command))
        except BaseException:
            link.abort()
            raise
        return link

    def _handshake(self) -> list[Command]:
        commands: list[Command] = []
        user, password, database = self._parts.username, self._parts.password, self._parts.path.strip("/")
        if password:
            secret = unquote(password)
            commands.append(("AUTH", unquote(user), secret) if user else ("AUTH", secret))
        if database:
            commands.append(("SELECT", database))
        return [*commands, ("CLIENT", "SETNAME", "portal"), ("PING",)]

    async def _keep_connected(self) -> None:
        attempt = 0
        while True:
            if self._link is not None:
                await self._link.lost.wait()
                self._link = None
                get_log(__name__).warning("redis_lost", server=self.name)
            try:
                self._link = await self._connect()
                attempt = 0
                self.on_connected()
                get_log(__name__).info("redis_connected", server=self.name)
            except FAILURES:
                await asyncio.sleep(RECONNECT_SECONDS[min(attempt, len(RECONNECT_SECONDS) - 1)])
                attempt += 1


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
