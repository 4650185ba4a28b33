"""Ingest usage: deliver the batches that shippers published to the broker to the handler that counts them.

Without a broker there is no such worker: a shipper's batch is counted in its own process (portal.usage.IngestBatcher).
"""

import asyncio
from contextlib import suppress

from portal.core.concurrency.worker_loop import is_set_within, rounds_of
from portal.core.rabbit import RabbitBus

NAME = "ingest_usage"
EVERY_SECONDS = 5.0


async def run(bus: RabbitBus, stop: asyncio.Event) -> None:
    """Consume until stopped. What is not counted yet stays with the broker."""
    watching = asyncio.create_task(_watch(bus, stop))
    try:
        await bus.run(stop)
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(bus: RabbitBus, stop: asyncio.Event) -> None:
    """Note every few seconds whether it consumes, and no message that it holds has failed."""
    rounds = rounds_of(NAME)
    while not await is_set_within(stop, EVERY_SECONDS):
        if all(consumer.is_consuming and not consumer.is_failing for consumer in bus.consumers):
            rounds.succeed()
        else:
            rounds.fail()
