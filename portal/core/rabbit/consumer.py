"""The consuming side of a subject: each delivery to its handler, acknowledged when it is handled.

A handler that fails is asked again, with growing pauses, while the message stays unacknowledged: so a database that is
away for a minute costs no traffic at the broker. What waits longer goes to the retry queue for a while, well before the
broker's own patience with consumers (30 minutes) ends. A neighbour that is away is waited for as long as it takes; any
other failure repeated MAX_RETRIES times makes the message a dead letter, with its reason.
"""

import asyncio
from contextlib import suppress
from time import monotonic

from aio_pika import Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

from portal.core.concurrency.worker_loop import Backoff, is_set_within
from portal.core.errors import Unavailable
from portal.core.logs import first_line, get_log
from portal.core.messaging.bus import Handler
from portal.core.outages.database_errors import is_dependency_unavailable
from portal.core.rabbit.link import BROKER_ERRORS, Prepare, PublisherLink, connect
from portal.core.rabbit.topology import DEAD_EXCHANGE, retry_queue

MAX_TRIES_IN_PLACE = 3
HOLD_SECONDS = 300.0
MAX_RETRIES = 20
GRACE_SECONDS = 15.0
GIVE_BACK_SECONDS = 5.0
"""Before a delivery is given back: so the delivery limit lasts for hours."""
RETRIES_HEADER = "x-portal-retries"
REASON_HEADER = "x-portal-reason"
MAX_REASON = 500
_log = get_log(__name__)


class Consumer:
    """Takes the deliveries of a queue; `handled`, `retried` and `dead_lettered` count since the start."""

    def __init__(self, url: str, subject: str, handler: Handler, *, prefetch: int) -> None:
        self.subject = subject
        self.is_consuming = False
        self.handled = 0
        self.retried = 0
        self.dead_lettered = 0
        self._failing: set[int] = set()
        self._failed_since: float | None = None
        self._url = url
        self._handler = handler
        self._prefetch = prefetch
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def is_failing(self) -> bool:
        """Return whether a message in hand has failed and is tried again."""
        return bool(self._failing)

    async def run(self, link: PublisherLink, prepare: Prepare, stop: asyncio.Event) -> None:
        """Consume until stopped; connect again, with growing pauses, whenever the broker goes away."""
        backoff = Backoff()
        while not stop.is_set():
            try:
                await self._consume(link, prepare, stop, backoff)
            except BROKER_ERRORS as error:
                seconds = backoff.next_seconds()
                _log.warning("broker_away", subject=self.subject, error=repr(error), retry_seconds=seconds)
                await is_set_within(stop, seconds)

    async def _consume(self, link: PublisherLink, prepare: Prepare, stop: asyncio.Event, backoff: Backoff) -> None:
        connection = await connect(self._url, f"consuming {self.subject}")
        ended = asyncio.Event()
        try:
            await prepare(connection)
            channel = await self._start_consuming(connection, link, stop, ended)
            backoff.reset()
            self.is_consuming = True
            await _first_of(stop, ended)
            if not stop.is_set():
                _log.warning("broker_lost", subject=self.subject)
                return
            await self._finish(channel)
        finally:
            self.is_consuming = False
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
            async with asyncio.timeout(GRACE_SECONDS):
                await connection.close()

    async def _start_consuming(
        self, connection: AbstractConnection, link: PublisherLink, stop: asyncio.Event, ended: asyncio.Event
    ) -> AbstractChannel:
        channel = connection.channel(publisher_confirms=False)
        await channel.initialize()
        await channel.set_qos(prefetch_count=self._prefetch)
        queue = await channel.get_queue(self.subject)
        connection.close_callbacks.add(lambda *_: ended.set())
        channel.close_callbacks.add(lambda *_: ended.set())
        inner = await channel.get_underlay_channel()
        inner.on_consumer_cancel_callbacks.add(lambda *_: ended.set())

        def start(message: AbstractIncomingMessage) -> None:
            task = asyncio.create_task(self._process(message, link, stop))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

        async def on_message(message: AbstractIncomingMessage) -> None:
            start(message)

        self._tag = await queue.consume(on_message)
        return channel

    async def _finish(self, channel: AbstractChannel) -> None:
        """Take no further deliveries; those that are being handled may end."""
        await (await channel.get_queue(self.subject)).cancel(self._tag)
        if self._under_way:
            await asyncio.wait([*self._under_way], timeout=GRACE_SECONDS)

    async def _process(self, message: AbstractIncomingMessage, link: PublisherLink, stop: asyncio.Event) -> None:
        """Handle a message, or send it to wait, or dead-letter it; give it back to be delivered again where that fails.

        Kept in hand it would take a place of the prefetch until the broker's patience ends: a broker that is short of
        memory takes no publishes for hours, while this connection is well.
        """
        try:
            failure = await self._handle(message.body, stop)
            if failure is not None:
                if stop.is_set():
                    return
                await self._retry_later(message, link, failure)
            await message.ack()
        except (*BROKER_ERRORS, Unavailable) as error:
            _log.warning("message_not_settled", subject=self.subject, error=repr(error))
            await is_set_within(stop, GIVE_BACK_SECONDS)
            with suppress(*BROKER_ERRORS):
                await message.nack(requeue=True)

    async def _handle(self, body: bytes, stop: asyncio.Event) -> Exception | None:
        """Return None once it is handled, or the last failure when it has been tried for long enough."""
        try:
            return await self._try(body, stop)
        finally:
            self._failing.discard(id(body))

    async def _try(self, body: bytes, stop: asyncio.Event) -> Exception | None:
        backoff, until, tries = Backoff(), monotonic() + HOLD_SECONDS, 0
        while True:
            try:
                await self._handler(body)
            except Exception as error:
                is_away = is_dependency_unavailable(error)
                tries += not is_away
                seconds = backoff.next_seconds()
                self._log_failure(error, seconds, is_away=is_away)
                self.retried += 1
                self._failing.add(id(body))
                if tries >= MAX_TRIES_IN_PLACE or monotonic() > until or await is_set_within(stop, seconds):
                    return error
            else:
                self.handled += 1
                self._log_recovery()
                return None

    def _log_failure(self, error: Exception, retry_seconds: float, *, is_away: bool) -> None:
        """Log a failure; of a neighbour that is away only the first, whatever the number of messages in hand."""
        if is_away and self._failed_since is not None:
            return
        if is_away:
            self._failed_since = monotonic()
        text = first_line(error)
        _log.warning("message_not_handled", subject=self.subject, error=text, retry_seconds=retry_seconds)

    def _log_recovery(self) -> None:
        if self._failed_since is not None:
            seconds, self._failed_since = round(monotonic() - self._failed_since, 1), None
            _log.info("messages_handled_again", subject=self.subject, after_seconds=seconds)

    async def _retry_later(self, message: AbstractIncomingMessage, link: PublisherLink, failure: Exception) -> None:
        """Publish a copy to the retry queue, after the last retry as a dead letter; the original is kept until then."""
        earlier = message.headers.get(RETRIES_HEADER)
        retries = (earlier if isinstance(earlier, int) else 0) + (not is_dependency_unavailable(failure))
        reason = repr(failure)[:MAX_REASON]
        copy = Message(
            message.body,
            headers={RETRIES_HEADER: retries, REASON_HEADER: reason},
            message_id=message.message_id,
            timestamp=message.timestamp,
            content_type=message.content_type,
            delivery_mode=message.delivery_mode,
        )
        if retries < MAX_RETRIES:
            await link.publish("", retry_queue(self.subject), copy)
            return
        await link.publish(DEAD_EXCHANGE, self.subject, copy)
        self.dead_lettered += 1
        _log.error("message_dead_lettered", subject=self.subject, message=message.message_id, reason=reason)


async def _first_of(*events: asyncio.Event) -> None:
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
