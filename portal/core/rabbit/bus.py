"""The bus over RabbitMQ: what `publish` returned for is on the broker's disk, and `run` consumes what is subscribed."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractConnection
from aiormq import spec

from portal.core.errors import Unavailable
from portal.core.ids import new_id
from portal.core.messaging.bus import Handler
from portal.core.rabbit.consumer import Consumer
from portal.core.rabbit.link import BROKER_ERRORS, PublisherLink, wait_for_broker
from portal.core.rabbit.topology import EXCHANGE, dead_queue, ensure_topology, retry_queue


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """Messages that are ready in each queue of a subject, and how many consumers take them."""

    waiting: int
    retrying: int
    dead: int
    consumers: int = 0


class RabbitBus:
    """The bus of one broker; connects whenever there is something to do, and declares `subjects` on each connection."""

    def __init__(self, url: str, *subjects: str, prefetch: int, retention_days: int) -> None:
        self.consumers: list[Consumer] = []
        self._url = url
        self._subjects = subjects
        self._prefetch = prefetch
        self._retention_days = retention_days
        self._link = PublisherLink(url, self._prepare)
        # Of its own: a status request that times out costs its channel, and must not cost publishes under way.
        self._status_link = PublisherLink(url, self._prepare)

    async def publish(self, subject: str, body: bytes) -> None:
        """Publish a message to its queue. Raises Unavailable: publish it again."""
        message = Message(
            body,
            delivery_mode=DeliveryMode.PERSISTENT,
            content_type="application/msgpack",
            message_id=new_id("msg"),
            timestamp=datetime.now(UTC),
            app_id="portal",
        )
        await self._link.publish(EXCHANGE, subject, message)

    def subscribe(self, subject: str, handler: Handler) -> None:
        self.consumers.append(Consumer(self._url, subject, handler, prefetch=self._prefetch))

    async def run(self, stop: asyncio.Event) -> None:
        """Consume what is subscribed until stopped."""
        await asyncio.gather(*[consumer.run(self._link, self._prepare, stop) for consumer in self.consumers])

    async def waiting(self, subject: str) -> int:
        """Return how many messages no consumer has taken yet. Raises Unavailable."""
        return (await self._declared(subject)).message_count or 0

    async def status(self, subject: str) -> BrokerStatus:
        """Return how many messages are ready in each queue. Raises Unavailable."""
        waiting = await self._declared(subject)
        retrying, dead = await self._declared(retry_queue(subject)), await self._declared(dead_queue(subject))
        return BrokerStatus(
            waiting.message_count or 0,
            retrying.message_count or 0,
            dead.message_count or 0,
            waiting.consumer_count or 0,
        )

    @property
    def is_blocked(self) -> bool:
        """Return whether the broker takes no messages at the moment, as it said: it is short of memory or disk."""
        return self._link.is_blocked

    async def close(self) -> None:
        await self._link.close()
        await self._status_link.close()

    async def _declared(self, queue: str) -> spec.Queue.DeclareOk:
        try:
            async with asyncio.timeout(5):
                channel = await (await self._status_link.channel()).get_underlay_channel()
                with wait_for_broker():
                    return await channel.queue_declare(queue, passive=True)
        except BROKER_ERRORS as error:
            self._status_link.drop()
            raise Unavailable(f"The broker does not answer: {error!r}.") from error

    async def _prepare(self, connection: AbstractConnection) -> None:
        for subject in self._subjects:
            await ensure_topology(connection, subject, self._retention_days)
