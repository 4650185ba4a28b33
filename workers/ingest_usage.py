"""Ingest usage: take the batches that shippers put on the broker to the handler that counts them.

Without a broker there is no such worker: a shipper's batch is counted in its own process (portal.usage.IngestBatcher).
"""

import asyncio

from portal.core.messaging.bus import Bus


async def run(bus: Bus, stop: asyncio.Event) -> None:
    """Consume until stopped. What is not counted yet stays with the broker."""
    await bus.run(stop)
