"""Relay events from the outbox to the bus, in order, at least once."""

import asyncio

import msgspec

from portal.core.backoff import Backoff, is_set_within
from portal.core.bus import EVENTS, Bus
from portal.core.database import Database
from portal.core.logs import get_log
from portal.core.outbox import OutboxRow, delete_events, lock_events

POLL_SECONDS = 0.25
EVENTS_MOST = 500
_log = get_log(__name__)


async def run(database: Database, bus: Bus, stop: asyncio.Event) -> None:
    """Every quarter of a second until stopped; at once where more is waiting than one transaction takes."""
    backoff = Backoff()
    while not stop.is_set():
        try:
            relayed = await relay_once(database, bus)
        except Exception as error:
            seconds = backoff.next_seconds()
            _log.warning("outbox_not_relayed", error=repr(error), retry_seconds=seconds)
            await is_set_within(stop, seconds)
            continue
        backoff.reset()
        if relayed < EVENTS_MOST:
            await is_set_within(stop, POLL_SECONDS)


async def relay_once(database: Database, bus: Bus) -> int:
    """Publish, delete, commit: what fails in between is relayed again. Returns how many."""
    async with database.transaction() as tx:
        events = await lock_events(tx, EVENTS_MOST)
        if events:
            for event in events:
                await bus.publish(EVENTS, encode_event(event))
            await delete_events(tx, events)
    return len(events)


def encode_event(event: OutboxRow) -> bytes:
    """JSON with the event's number (to recognise a repetition), type, body and time."""
    return msgspec.json.encode(
        {"id": event.id, "type": event.type, "body": event.body, "createdAt": event.created_at.isoformat()}
    )
