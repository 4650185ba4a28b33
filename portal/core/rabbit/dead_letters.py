"""Dead letters: list them, send them back to their queue, or drop them, one by one or all."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from aio_pika import Exchange, Message
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from portal.core.errors import Unavailable
from portal.core.rabbit.consumer import REASON_HEADER
from portal.core.rabbit.link import BROKER_ERRORS, CLOSE_SECONDS, connect
from portal.core.rabbit.topology import EXCHANGE, dead_queue, ensure_topology

TIMEOUT_SECONDS = 10.0
DEFAULT_REASON = "delivered too often"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be handled. `id` is its own; `reason` says why."""

    id: str
    published_at: datetime | None
    reason: str
    body: bytes


class DeadLetters:
    """Dead letters of one subject. Reading leases messages, so two readers see disjoint sets."""

    def __init__(self, url: str, subject: str, retention_days: int) -> None:
        self._url = url
        self._subject = subject
        self._retention_days = retention_days

    async def list(self, limit: int) -> list[DeadLetter]:
        """Return the oldest; they stay in the queue. Raises Unavailable."""
        async with self._channel() as channel:
            return [_letter(message) async for message in self._each(channel, limit)]

    async def replay(self, ids: Collection[str] | None) -> int:
        """Publish these letters, or all, again and remove them. Returns how many. Raises Unavailable."""
        replayed = 0
        async with self._channel() as channel:
            exchange = Exchange(channel, EXCHANGE)
            async for message in self._each(channel, None):
                if ids is None or message.message_id in ids:
                    await exchange.publish(_fresh_copy(message), self._subject, mandatory=True, timeout=TIMEOUT_SECONDS)
                    await message.ack()
                    replayed += 1
        return replayed

    async def drop(self, ids: Collection[str] | None) -> int:
        """Delete these letters, or all, for good. Returns how many. Raises Unavailable."""
        dropped = 0
        async with self._channel() as channel:
            async for message in self._each(channel, None):
                if ids is None or message.message_id in ids:
                    await message.ack()
                    dropped += 1
        return dropped

    async def _each(self, channel: AbstractChannel, limit: int | None) -> AsyncIterator[AbstractIncomingMessage]:
        """Held by the channel: what was not acknowledged is back in the queue when it closes.

        One in memory at a time; without `limit` as many as there are now, or one that dies again would come for ever.
        """
        queue = await channel.get_queue(dead_queue(self._subject))
        seen, limit = 0, limit if limit is not None else queue.declaration_result.message_count or 0
        while seen < limit:
            message = await queue.get(fail=False, timeout=TIMEOUT_SECONDS)
            if message is None:
                return
            seen += 1
            yield message

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[AbstractChannel]:
        try:
            connection = await connect(self._url, "dead letters")
            try:
                await ensure_topology(connection, self._subject, self._retention_days)
                async with connection.channel(publisher_confirms=True, on_return_raises=True) as channel:
                    yield channel
            finally:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await connection.close()
        except BROKER_ERRORS as error:
            raise Unavailable(f"The broker does not answer: {error!r}.", hint="Check PORTAL_AMQP_URL.") from error


def _letter(message: AbstractIncomingMessage) -> DeadLetter:
    reason = message.headers.get(REASON_HEADER)
    return DeadLetter(
        message.message_id or "-", message.timestamp, str(reason) if reason else DEFAULT_REASON, message.body
    )


def _fresh_copy(message: AbstractIncomingMessage) -> Message:
    """Return the message without its retries, which are counted from the start."""
    return Message(
        message.body,
        message_id=message.message_id,
        timestamp=message.timestamp,
        content_type=message.content_type,
        delivery_mode=message.delivery_mode,
    )
