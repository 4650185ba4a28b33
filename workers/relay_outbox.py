"""Relay events from the outbox to the bus, in order, at least once."""

import asyncio

import msgspec

from portal.core.concurrency.worker_loop import every
from portal.core.database import Database
from portal.core.messaging.bus import EVENTS, Bus
from portal.core.messaging.outbox import OutboxRow, delete_events, lock_events

POLL_SECONDS = 0.25
MAX_EVENTS = 500


async def run(database: Database, bus: Bus, stop: asyncio.Event) -> None:
    """Relay every quarter of a second until stopped; at once where more is waiting than one transaction takes."""

    async def relay() -> float | None:
        return None if await relay_once(database, bus) < MAX_EVENTS else 0

    await every(POLL_SECONDS, relay, "relay_outbox", stop)


async def relay_once(database: Database, bus: Bus) -> int:
    """Publish, delete, commit: what fails in between is relayed again. Returns how many events."""
    async with database.transaction() as tx:
        events = await lock_events(tx, MAX_EVENTS)
        if events:
            for event in events:
                await bus.publish(EVENTS, encode_event(event))
            await delete_events(tx, events)
    return len(events)


def encode_event(event: OutboxRow) -> bytes:
    """Encode as JSON the event's number (to recognise a repetition), type, body and time."""
    return msgspec.json.encode(
        {"id": event.id, "type": event.type, "body": event.body, "createdAt": event.created_at.isoformat()}
    )
