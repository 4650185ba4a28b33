"""The way to one shard: a link is one TCP connection, and a standing connection opens another whenever it is lost.

**Link.** Commands leave in order, replies come back in order. A reply belongs to the oldest command that has none,
whatever became of its caller: a command that missed its deadline keeps its place in line until its reply arrives and is
dropped, so a reply can never reach another request. Deadlines go by the loop's own clock (loop_clock.py).

**Connection.** Nothing is ever sent twice. Without a link, calls fail at once while one is opened in the background.
Each link begins with the question who is master: of the Sentinels, if there are any, and of the server itself. It ends
when the server refuses as one that may no longer write, when most Sentinels have come to name another, or when it stays
silent while the server answers over another connection.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from math import inf
from time import monotonic
from typing import Any, cast

import hiredis

from portal.core.concurrency.waiting import wait_for_callback
from portal.core.logs import get_log
from portal.core.redis.address import HostPort, parse_shard
from portal.limits.loop_clock import LoopClock
from portal.limits.sentinels import Sentinels

SILENCE_SECONDS = 1.0
"""A server that owes an answer and says nothing for so long is taken for gone."""
RECONNECT_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5)
HANDSHAKE_SECONDS = 1.0
PROBE_DEADLINES = 6
"""A new connection has so many deadlines to be opened: about as many round trips as that takes."""
MIN_TICK_SECONDS, MAX_TICK_SECONDS = 0.001, 0.005
TICKS_PER_DEADLINE = 10
BRIEF_SECONDS = 1.0
"""A link that lives shorter counts as a failed attempt, so that a server that refuses is not asked in a circle."""
WATCH_SECONDS = 1.0
NO_MASTER = ("READONLY", "MASTERDOWN", "NOREPLICAS")
"""How a server says that it is not, or may not be, the one that writes."""

Command = tuple[bytes | str | int | float | memoryview, ...]
Reply = Any
OnReply = Callable[[Reply], None]
"""Called once, with the reply, a hiredis.ReplyError, or LimitsUnavailable."""


class LimitsUnavailable(Exception):
    """Redis did not answer in time or is not connected."""


class CallOverdue(LimitsUnavailable):
    """Redis had its time, and no reply came. Whether it has run, or will, is unknown."""


FAILURES = (OSError, TimeoutError, LimitsUnavailable, hiredis.ReplyError)


class _Call:
    """A command in line; `on_reply` is None once its caller has been told that it came too late."""

    __slots__ = ("deadline", "on_reply")

    def __init__(self, on_reply: OnReply | None, deadline: float) -> None:
        self.on_reply = on_reply
        self.deadline = deadline


class RedisLink(asyncio.Protocol):
    """One TCP connection to `server`; `lost` is set when it ends."""

    def __init__(self, name: str, server: HostPort, clock: LoopClock) -> None:
        self.lost = asyncio.Event()
        self.server = server
        self._name = name
        self._clock = clock
        self._calls: deque[_Call] = deque()
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._next_deadline = inf
        self._last_reply_at = 0.0

    @property
    def is_open(self) -> bool:
        """Return whether a command that is sent now leaves."""
        return self._transport is not None and not self.lost.is_set() and not self._transport.is_closing()

    def is_silent_since(self, instant: float) -> bool:
        """Return whether it owes a reply and nothing has arrived after `instant`."""
        return bool(self._calls) and self._last_reply_at <= instant

    def send(self, on_reply: OnReply, command: Command, deadline_seconds: float) -> None:
        """Write now; `on_reply` is called later. After the end of the link it is called at once."""
        packed = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub allows one
        self.send_encoded(on_reply, packed, deadline_seconds)

    def send_encoded(self, on_reply: OnReply, command: bytes, deadline_seconds: float) -> None:
        """Write a command that is in the protocol's own form already; otherwise as `send`."""
        if self._transport is None or not self.is_open:
            on_reply(LimitsUnavailable(f"not connected to {self._name}"))
            return
        now = self._clock.now()
        if not self._calls:
            self._last_reply_at = now
        deadline = now + deadline_seconds
        self._calls.append(_Call(on_reply, deadline))
        self._next_deadline = min(self._next_deadline, deadline)
        self._transport.write(command)

    def abort(self) -> None:
        """End the link; whoever waits is given LimitsUnavailable."""
        if self._transport is not None:
            self._transport.abort()
        self.connection_lost(None)

    def _expire(self, now: float) -> bool:
        """Fail what is overdue; end the link to a server that has been silent for too long."""
        if self._calls and now - self._last_reply_at > SILENCE_SECONDS:
            self.abort()
        elif now >= self._next_deadline:
            self._next_deadline = inf
            for call in self._calls:
                if call.on_reply is None:
                    continue
                if call.deadline > now:
                    self._next_deadline = min(self._next_deadline, call.deadline)
                else:
                    on_reply, call.on_reply = call.on_reply, None
                    _call_soon(on_reply, CallOverdue(f"{self._name} did not answer in time"))
        return bool(self._calls)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._clock.watch(self._expire)

    def data_received(self, data: bytes) -> None:
        self._last_reply_at = self._clock.now()
        self._reader.feed(data)
        while self._calls:
            reply = self._reader.gets()
            if reply is False:
                break
            call = self._calls.popleft()
            if call.on_reply is not None:
                call.on_reply(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()
        self._clock.unwatch(self._expire)
        calls, self._calls = self._calls, deque()
        for call in calls:
            if call.on_reply is not None:
                _call_soon(call.on_reply, LimitsUnavailable(f"lost the connection to {self._name}"))


class RedisConnection:
    """`url` as in portal.core.redis.address. `deadline_seconds` bounds every call without a timeout of its own."""

    def __init__(self, url: str, deadline_seconds: float) -> None:
        self._address = parse_shard(url)
        self.name = self._address.name
        self.link_count = 0
        """How many links were opened since the start."""
        self.master: HostPort | None = None
        """The server that the last link led to."""
        self._sentinels = Sentinels(self._address) if self._address.master is not None else None
        self.deadline_seconds = deadline_seconds
        self.clock = LoopClock(
            min(max(deadline_seconds / TICKS_PER_DEADLINE, MIN_TICK_SECONDS), MAX_TICK_SECONDS),
        )
        self._link: RedisLink | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.on_connected: Callable[[], None] = lambda: None
        self.on_unreachable: Callable[[], None] = lambda: None
        """Called each time that no link could be opened."""

    @property
    def is_connected(self) -> bool:
        """Return whether there is a link now: what is sent leaves."""
        return self._link is not None and self._link.is_open

    async def open(self) -> None:
        """Try to connect once, then keep trying in the background."""
        try:
            self._use(await self._connect())
        except FAILURES as error:
            get_log(__name__).warning("redis_unreachable", server=self.name, error=str(error) or repr(error))
            self.on_unreachable()
        self._tasks.append(asyncio.create_task(self._keep_connected()))
        if self._sentinels is not None:
            self._tasks.append(asyncio.create_task(self._watch(self._sentinels)))

    async def close(self) -> None:
        """Stop reconnecting and end the link."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._link is not None:
            self._link.abort()
        if self._sentinels is not None:
            await self._sentinels.close()

    def leave_if_no_master(self, reply: Reply) -> None:
        """Leave a server that says that it is no master; whoever waits there is given LimitsUnavailable."""
        if _says_no_master(reply):
            self._drop(str(reply))

    def send(self, on_reply: OnReply, *command: bytes | str | int, timeout_seconds: float | None = None) -> None:
        """Send now; `on_reply` is called later, or at once when there is no link."""
        if self._link is None:
            on_reply(LimitsUnavailable(f"not connected to {self.name}"))
        else:
            self._link.send(on_reply, command, timeout_seconds or self.deadline_seconds)

    def send_encoded(self, on_reply: OnReply, command: bytes, deadline_seconds: float) -> None:
        """Send a command that is in the protocol's own form already."""
        if self._link is None:
            on_reply(LimitsUnavailable(f"not connected to {self.name}"))
        else:
            self._link.send_encoded(on_reply, command, deadline_seconds)

    async def call(self, *command: bytes | str | int, timeout_seconds: float | None = None) -> Reply:
        """Send and wait, for the deadline or `timeout_seconds`.

        Raises LimitsUnavailable, also for a server that refuses (out of memory, read only, its disk full), and
        hiredis.ReplyError for a script that it does not know.
        """
        try:
            return await wait_for_callback(
                lambda on_reply: self.send(on_reply, *command, timeout_seconds=timeout_seconds)
            )
        except hiredis.ReplyError as error:
            self.leave_if_no_master(error)
            if str(error).startswith("NOSCRIPT"):
                raise
            raise LimitsUnavailable(str(error)) from error

    async def probe(self) -> bool:
        """Return whether the server answers within the deadline over a connection of its own.

        A link that stays silent meanwhile is stuck, not its server: the new connection takes its place.
        """
        stuck, began = self._link, self.clock.now()
        try:
            async with self.clock.timeout(min(PROBE_DEADLINES * self.deadline_seconds, HANDSHAKE_SECONDS)):
                link = await self._connect()
        except FAILURES:
            return False
        try:
            await wait_for_callback(partial(link.send, command=("PING",), deadline_seconds=self.deadline_seconds))
        except FAILURES:
            link.abort()
            return False
        if stuck is None or stuck is not self._link or not stuck.is_silent_since(began):
            link.abort()
            return True
        get_log(__name__).warning("redis_left", server=self.name, address=self.master, reason="the link is stuck")
        self._use(link)
        stuck.abort()
        return True

    def _use(self, link: RedisLink) -> None:
        self._link, self.master = link, link.server
        self.link_count += 1
        self.on_connected()

    async def _connect(self) -> RedisLink:
        """Return a link to the first server that is a master, of those that most Sentinels name."""
        failure: Exception = LimitsUnavailable(f"no Sentinel knows where {self.name} is")
        for server in await self._candidates():
            try:
                return await self._connect_to(server)
            except FAILURES as error:
                failure = error
        raise failure

    async def _candidates(self) -> list[HostPort]:
        if self._sentinels is None:
            return [*self._address.servers]
        return [server for server, _ in (await self._sentinels.masters()).most_common()]

    async def _connect_to(self, server: HostPort) -> RedisLink:
        link = RedisLink(self.name, server, self.clock)
        context = self._address.tls_context()
        try:
            async with self.clock.timeout(HANDSHAKE_SECONDS):
                await asyncio.get_running_loop().create_connection(lambda: link, *server, ssl=context)
                for command in self._handshake():
                    await wait_for_callback(partial(_send, link, command))
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

    async def _require_master(self, link: RedisLink) -> None:
        """Raise LimitsUnavailable for a replica.

        A server without Sentinels may not let us ask, as behind a proxy: then its refusals show what it is.
        """
        try:
            role = await wait_for_callback(partial(_send, link, ("ROLE",)))
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
                link, began = self._link, monotonic()
                await link.lost.wait()
                if self._link is not link:
                    continue
                self._link = None
                get_log(__name__).warning("redis_lost", server=self.name)
                attempt = attempt + 1 if monotonic() - began < BRIEF_SECONDS else 0
            if attempt:
                await asyncio.sleep(RECONNECT_SECONDS[min(attempt, len(RECONNECT_SECONDS)) - 1])
            try:
                self._use(await self._connect())
            except FAILURES:
                attempt += 1
                self.on_unreachable()
                continue
            get_log(__name__).info("redis_connected", server=self.name, address=self.master)

    async def _watch(self, sentinels: Sentinels) -> None:
        """Leave a master once most Sentinels name another: it may go on answering us while they cannot reach it."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if not self.is_connected:
                continue
            votes = await sentinels.masters()
            if votes and self.master is not None and votes.most_common(1)[0][1] > votes[self.master]:
                self._drop("its Sentinels name another master")

    def _drop(self, reason: str) -> None:
        if self._link is not None and self.is_connected:
            get_log(__name__).warning("redis_left", server=self.name, address=self.master, reason=reason)
            self._link.abort()


def _says_no_master(reply: Reply) -> bool:
    """Return whether a reply holds such a refusal, which older servers wrap into a script's error."""
    return isinstance(reply, hiredis.ReplyError) and any(sign in str(reply) for sign in NO_MASTER)


def _send(link: RedisLink, command: Command, on_reply: OnReply) -> None:
    link.send(on_reply, command, HANDSHAKE_SECONDS)


def _call_soon(on_reply: OnReply, error: Exception) -> None:
    """Call in a loop turn of its own: a callback that sends again must not do so while the line is walked."""
    asyncio.get_running_loop().call_soon(on_reply, error)
