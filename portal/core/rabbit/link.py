"""A connection to publish on: opened when it is needed, given up when it fails, opened anew for the next message."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import cast

import aio_pika
import aiormq
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from aiormq.exceptions import AMQPError, DeliveryError

from portal.core.errors import Unavailable
from portal.core.logs import get_log

CONNECT_SECONDS = 5.0
PUBLISH_SECONDS = 10.0
CLOSE_SECONDS = 2.0
BLOCKED_SECONDS = 0.5
"""How soon a broker that is short of something says so to who publishes."""
HEARTBEAT_SECONDS = 10
BROKER_ERRORS = (AMQPError, OSError, TimeoutError, RuntimeError)
"""RuntimeError: how the library calls a channel that is closed already."""

# The library logs what it raises as well, with whole tracebacks: we log it once, and when we try again.
logging.getLogger("aiormq").setLevel(logging.CRITICAL)

_log = get_log(__name__)

Prepare = Callable[[AbstractConnection], Awaitable[None]]


class _Connection(aio_pika.Connection):
    """Closed by who opened it: one that never came to be is collected at any time, with or without a loop."""

    def __del__(self) -> None: ...


async def connect(url: str, purpose: str) -> AbstractConnection:
    """Connect; `purpose` is how the broker's own pages name the connection. Raises one of BROKER_ERRORS."""
    async with asyncio.timeout(CONNECT_SECONDS):
        return await aio_pika.connect(
            url,
            connection_class=_Connection,
            heartbeat=HEARTBEAT_SECONDS,
            client_properties={"connection_name": f"portal {purpose}", "product": "portal"},
        )


@contextmanager
def wait_for_broker() -> Iterator[None]:
    """Raise ConnectionAbortedError where the library cancels whoever waits on a connection that is closed.

    Nobody has cancelled their task: to them it is an error like any other of the broker.
    """
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionAbortedError("The connection was closed meanwhile.") from None


def version_of(connection: AbstractConnection) -> str:
    """Return the version of the server."""
    assert connection.transport is not None  # noqa: S101 for the type checker: it is connected
    properties = getattr(connection.transport.connection, "server_properties", {})
    return str(properties.get("version", "unknown version"))


async def takes_messages(connection: AbstractConnection) -> bool:
    """Return whether the broker takes messages. It is asked by one that no queue is bound to, which it drops."""
    async with connection.channel(publisher_confirms=False) as channel:
        await channel.default_exchange.publish(aio_pika.Message(b""), "portal.nowhere", mandatory=False)
        await asyncio.sleep(BLOCKED_SECONDS)
        return not _is_blocked(connection)


class PublisherLink:
    """One connection and one channel with confirms. `prepare` runs on each new connection."""

    def __init__(self, url: str, prepare: Prepare) -> None:
        self._url = url
        self._prepare = prepare
        self._lock = asyncio.Lock()
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._was_blocked = False
        self._is_blocked_logged = False

    @property
    def is_blocked(self) -> bool:
        """Return whether the broker takes no messages although it answers: it is short of memory or disk.

        It says so (connection.blocked) to whoever publishes, so nobody knows before something is to be published.
        """
        return self._was_blocked or _is_blocked(self._connection)

    async def publish(self, exchange: str, key: str, message: aio_pika.Message) -> None:
        """Publish a message; returns once the broker has it on disk. Raises Unavailable: it may have it, or not."""
        channel = None
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                channel = await self.channel()
                with wait_for_broker():
                    await _exchange_of(channel, exchange).publish(message, key, mandatory=True)
            self._note_unblocked()
        except DeliveryError as error:
            raise Unavailable(f"The broker refused a message for {key}: {error!r}.") from error
        except BROKER_ERRORS as error:
            # After a timeout nobody knows in what state the channel is, so the next message gets another one. Somebody
            # else who failed with this one may have opened that already.
            if channel is self._channel:
                self._note_blocked()
                self.drop()
            if self._was_blocked:
                raise Unavailable("The broker takes no messages: it is short of memory or disk.") from error
            raise Unavailable(f"The broker does not answer: {error!r}.") from error

    def _note_blocked(self) -> None:
        """Keep in mind that the broker blocks, before the connection that it told is dropped. Logged once."""
        self._was_blocked = _is_blocked(self._connection) or self._was_blocked
        if self._was_blocked and not self._is_blocked_logged:
            self._is_blocked_logged = True
            _log.error("broker_blocked", hint="It is short of memory or disk: see its alarms.")

    def _note_unblocked(self) -> None:
        self._was_blocked = False
        if self._is_blocked_logged:
            self._is_blocked_logged = False
            _log.info("broker_unblocked")

    async def channel(self) -> AbstractChannel:
        """Return the open channel, connecting where there is none. Raises one of BROKER_ERRORS."""
        async with self._lock:
            if self._channel is None or self._channel.is_closed:
                await self._reopen()
            assert self._channel is not None  # noqa: S101 for the type checker: _reopen raises otherwise
            return self._channel

    def drop(self) -> None:
        """Close the connection without waiting for a broker that may be frozen."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            task = asyncio.create_task(_close(connection))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close the connection. Idempotent."""
        self.drop()
        await asyncio.gather(*self._closing)

    async def _reopen(self) -> None:
        self.drop()
        connection = await connect(self._url, "publishing")
        try:
            await self._prepare(connection)
            channel = connection.channel(publisher_confirms=True, on_return_raises=True)
            await channel.initialize()
        except BaseException:
            await _close(connection)
            raise
        self._connection, self._channel = connection, channel


def _exchange_of(channel: AbstractChannel, name: str) -> AbstractExchange:
    """Without asking: `prepare` has declared it. The empty name routes to the queue of the key."""
    return channel.default_exchange if not name else aio_pika.Exchange(channel, name)


def _is_blocked(connection: AbstractConnection | None) -> bool:
    """Return whether the broker has sent connection.blocked, and not taken it back."""
    if connection is None or connection.transport is None or connection.is_closed:
        return False
    ready = cast(aiormq.Connection, connection.transport.connection).ready()
    try:
        # The library tells it only by not returning: one step shows whether it would wait.
        ready.send(None)
    except StopIteration:
        return False
    ready.close()
    return True


async def _close(connection: AbstractConnection) -> None:
    with suppress(*BROKER_ERRORS):
        async with asyncio.timeout(CLOSE_SECONDS):
            await connection.close()
