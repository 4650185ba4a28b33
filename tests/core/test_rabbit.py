"""The bus over a real RabbitMQ: confirmed, handled, tried again, retried later, dead-lettered, sent back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from time import monotonic
from urllib.parse import urlsplit

import pytest
from aio_pika.abc import AbstractConnection

from portal.core.errors import Unavailable
from portal.core.ids import new_id
from portal.core.messaging.bus import Handler
from portal.core.rabbit import (
    BrokerStatus,
    DeadLetters,
    RabbitBus,
    connect,
    consumer,
    dead_queue,
    ensure_topology,
    is_as_declared,
)
from portal.core.rabbit.link import PublisherLink
from portal.core.rabbit.topology import retry_queue
from tests.faults.tools.deaf_proxy import DeafProxy

TIMEOUT_SECONDS = 30


@pytest.fixture
async def subject(amqp_url: str) -> AsyncIterator[str]:
    """Of this test alone; its queues are gone afterwards."""
    name = f"test.{new_id('subject').lower()}"
    yield name
    connection = await connect(amqp_url, "tests")
    async with connection, connection.channel() as channel:
        for queue in (name, retry_queue(name), dead_queue(name)):
            await channel.queue_delete(queue)


@pytest.fixture
async def bus(amqp_url: str, subject: str) -> AsyncIterator[RabbitBus]:
    bus = RabbitBus(amqp_url, subject, prefetch=10, retention_days=7)
    yield bus
    await bus.close()


@asynccontextmanager
async def consume_request(bus: RabbitBus, subject: str, handler: Handler) -> AsyncIterator[None]:
    stop = asyncio.Event()
    bus.subscribe(subject, handler)
    running = asyncio.create_task(bus.run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def until(holds: Callable[[], bool]) -> None:
    deadline = monotonic() + TIMEOUT_SECONDS
    while not holds():
        assert monotonic() < deadline
        await asyncio.sleep(0.02)


async def messages(bus: RabbitBus, subject: str) -> BrokerStatus:
    """Return how many messages are where, whoever consumes."""
    return replace(await bus.status(subject), consumers=0)


async def status_is(bus: RabbitBus, subject: str, wanted: BrokerStatus) -> None:
    deadline = monotonic() + TIMEOUT_SECONDS
    while (found := await messages(bus, subject)) != wanted:
        assert monotonic() < deadline, found
        await asyncio.sleep(0.05)


async def test_what_is_published_is_handled_and_leaves_nothing(bus: RabbitBus, subject: str) -> None:
    got: list[bytes] = []

    async def take(body: bytes) -> None:
        got.append(body)

    bodies = [b"%d" % number * 1000 for number in range(100)]
    await asyncio.gather(*(bus.publish(subject, body) for body in bodies[:50]))
    assert await bus.waiting(subject) == 50
    async with consume_request(bus, subject, take):
        await asyncio.gather(*(bus.publish(subject, body) for body in bodies[50:]))
        await until(lambda: len(got) == 100)
    assert sorted(got) == sorted(bodies)
    assert await messages(bus, subject) == BrokerStatus(0, 0, 0)


async def test_a_failure_is_tried_again_in_place(bus: RabbitBus, subject: str) -> None:
    calls = 0

    async def fail_twice(_: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise ValueError("not yet")

    async with consume_request(bus, subject, fail_twice):
        await bus.publish(subject, b"one")
        await until(lambda: bus.consumers[0].handled == 1)
    assert (calls, bus.consumers[0].retried) == (3, 2)
    assert await messages(bus, subject) == BrokerStatus(0, 0, 0)


async def test_what_keeps_failing_waits_and_holds_up_nobody(bus: RabbitBus, subject: str) -> None:
    handled: list[bytes] = []

    async def refuse_one(body: bytes) -> None:
        if body == b"bad":
            raise ValueError("never")
        handled.append(body)

    async with consume_request(bus, subject, refuse_one):
        await bus.publish(subject, b"bad")
        await bus.publish(subject, b"good")
        await until(lambda: handled == [b"good"])
        await status_is(bus, subject, BrokerStatus(0, 1, 0))
    assert handled == [b"good"]


async def test_an_unavailable_dependency_is_waited_for_and_costs_no_retries(bus: RabbitBus, subject: str) -> None:
    calls = 0

    async def away_for_long(_: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls <= consumer.MAX_TRIES_IN_PLACE + 1:
            raise Unavailable("PostgreSQL is away.")

    async with consume_request(bus, subject, away_for_long):
        await bus.publish(subject, b"one")
        await until(lambda: bus.consumers[0].handled == 1)
    assert await messages(bus, subject) == BrokerStatus(0, 0, 0)


async def test_after_the_last_retry_it_is_a_dead_letter_that_can_be_seen_replayed_and_dropped(
    bus: RabbitBus, subject: str, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "MAX_RETRIES", 1)
    letters = DeadLetters(amqp_url, subject, 7)

    async def refuse(_: bytes) -> None:
        raise ValueError("never")

    async with consume_request(bus, subject, refuse):
        for body in (b"first", b"second"):
            await bus.publish(subject, body)
        await status_is(bus, subject, BrokerStatus(0, 0, 2))
    for _ in range(3):
        seen = await letters.list(10)
        assert {(letter.body, letter.reason) for letter in seen} == {
            (b"first", "ValueError('never')"),
            (b"second", "ValueError('never')"),
        }
    first, second = sorted(seen, key=lambda letter: letter.body)
    assert first.id.startswith("msg_")
    async with consume_request(bus, subject, refuse):
        assert await letters.replay(None) == 2  # once each, though they die again meanwhile
        await status_is(bus, subject, BrokerStatus(0, 0, 2))
    assert await letters.replay(["msg_nobody's"]) == 0
    assert await letters.replay([first.id]) == 1
    await status_is(bus, subject, BrokerStatus(1, 0, 1))
    assert await letters.drop([first.id, second.id]) == 1
    assert await messages(bus, subject) == BrokerStatus(1, 0, 0)


async def test_a_consumer_that_dies_leaves_its_messages(bus: RabbitBus, subject: str, amqp_url: str) -> None:
    taken, got = asyncio.Event(), list[bytes]()

    async def hang(_: bytes) -> None:
        taken.set()
        await asyncio.Event().wait()

    async def take(body: bytes) -> None:
        got.append(body)

    first = RabbitBus(amqp_url, subject, prefetch=10, retention_days=7)
    first.subscribe(subject, hang)
    dying = asyncio.create_task(first.run(asyncio.Event()))
    await bus.publish(subject, b"one")
    await asyncio.wait_for(taken.wait(), TIMEOUT_SECONDS)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    await first.close()
    async with consume_request(bus, subject, take):
        await until(lambda: len(got) > 0)
    assert got == [b"one"]


async def test_a_message_outlives_more_consumers_than_a_broker_allows_by_itself(
    bus: RabbitBus, subject: str, amqp_url: str
) -> None:
    """RabbitMQ 4 drops what 20 have given back, unless the queue says otherwise; the dead queue is looked into."""
    await bus.publish(subject, b"one")
    connection = await connect(amqp_url, "tests")
    async with connection:
        for queue, last in ((subject, False), (dead_queue(subject), True)):
            for _ in range(25):
                async with connection.channel() as channel:
                    message = await (await channel.get_queue(queue)).get(timeout=TIMEOUT_SECONDS)
                    assert message is not None
                    await message.nack(requeue=True)
            async with connection.channel() as channel:
                message = await (await channel.get_queue(queue)).get(timeout=TIMEOUT_SECONDS)
                assert message is not None
                await message.reject(requeue=last)
            await status_is(bus, subject, BrokerStatus(0, 0, 1))


async def test_a_queue_that_vanished_is_declared_anew(bus: RabbitBus, subject: str, amqp_url: str) -> None:
    got: list[bytes] = []

    async def take(body: bytes) -> None:
        got.append(body)

    async with consume_request(bus, subject, take):
        await bus.publish(subject, b"one")
        await until(lambda: got == [b"one"])
        connection = await connect(amqp_url, "tests")
        async with connection, connection.channel() as channel:
            await channel.queue_delete(subject)
        await until(lambda: bus.consumers[0].is_consuming)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while b"two" not in got:
                # Unroutable until the consumer has declared it: refused, never confirmed.
                try:
                    await bus.publish(subject, b"two")
                except Unavailable:
                    await asyncio.sleep(0.05)
                await asyncio.sleep(0.02)
    assert got[0] == b"one"
    assert {*got[1:]} == {b"two"}


async def test_another_retention_is_reported_and_changes_nothing(bus: RabbitBus, subject: str, amqp_url: str) -> None:
    await bus.publish(subject, b"one")
    connection = await connect(amqp_url, "tests")
    async with connection:
        assert await is_as_declared(connection, subject, 7)
        assert not await is_as_declared(connection, subject, 8)
        await ensure_topology(connection, subject, 8)
    assert await messages(bus, subject) == BrokerStatus(1, 0, 0)


async def test_without_a_broker_publishing_is_refused_at_once() -> None:
    bus = RabbitBus("amqp://guest:guest@127.0.0.1:1/", "nothing", prefetch=1, retention_days=1)
    with pytest.raises(Unavailable, match="does not answer"):
        await bus.publish("nothing", b"one")
    with pytest.raises(Unavailable, match="does not answer"):
        await DeadLetters("amqp://guest:guest@127.0.0.1:1/", "nothing", 1).list(1)
    await bus.close()


async def test_a_delivery_that_cannot_be_put_off_is_given_back_and_holds_up_nobody(
    amqp_url: str, subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under a memory alarm: the broker takes no publishes, and the consumer's connection is well."""
    monkeypatch.setattr(consumer, "GIVE_BACK_SECONDS", 0)
    calls = 0

    async def fail_for_long(_: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls <= consumer.MAX_TRIES_IN_PLACE:
            raise ValueError("not yet")

    async def prepare(connection: AbstractConnection) -> None:
        await ensure_topology(connection, subject, 7)

    stop, taking = asyncio.Event(), consumer.Consumer(amqp_url, subject, fail_for_long, prefetch=1)
    nowhere = PublisherLink("amqp://guest:guest@127.0.0.1:1/", prepare)
    running = asyncio.create_task(taking.run(nowhere, prepare, stop))
    await until(lambda: taking.is_consuming)
    bus = RabbitBus(amqp_url, subject, prefetch=1, retention_days=7)
    await bus.publish(subject, b"one")
    await until(lambda: taking.handled == 1)
    assert await messages(bus, subject) == BrokerStatus(0, 0, 0)
    stop.set()
    await running
    await bus.close()


async def test_a_connection_given_up_under_a_publish_is_an_error_of_the_broker(amqp_url: str, subject: str) -> None:
    """Not a cancellation, which would end the worker that waits for it."""
    async with DeafProxy(urlsplit(amqp_url).port or 5672) as proxy:
        bus = RabbitBus(f"amqp://guest:guest@127.0.0.1:{proxy.port}/", subject, prefetch=1, retention_days=7)
        await bus.publish(subject, b"one")
        proxy.is_deaf = True
        publishing = asyncio.create_task(bus.publish(subject, b"two"))
        await asyncio.sleep(0.2)
        await bus.close()
        with pytest.raises(Unavailable, match="closed meanwhile"):
            await publishing
