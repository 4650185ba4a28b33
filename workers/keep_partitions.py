"""Keep the monthly partitions of usage: three months ahead there are some, and expired ones go."""

import asyncio

from portal.core.backoff import Backoff, is_set_within
from portal.core.clock import utc_now
from portal.core.database import Database
from portal.core.logs import get_log
from portal.usage import (
    Retention,
    drop_expired_partitions,
    ensure_partitions,
    forget_external_ids,
    forget_resources,
)

EVERY_SECONDS = 3600.0
BUSY_SECONDS = 60.0
_log = get_log(__name__)


async def run(database: Database, retention: Retention, stop: asyncio.Event) -> None:
    """Hourly until stopped, sooner where a month could not go since somebody is still reading it."""
    backoff = Backoff()
    while not stop.is_set():
        try:
            waiting = await keep_once(database, retention)
        except Exception as error:
            seconds = backoff.next_seconds()
            _log.warning("partitions_not_kept", error=repr(error), retry_seconds=seconds)
            await is_set_within(stop, seconds)
            continue
        backoff.reset()
        await is_set_within(stop, BUSY_SECONDS if waiting else EVERY_SECONDS)


async def keep_once(database: Database, retention: Retention) -> list[str]:
    """Returns the expired partitions that are still in use."""
    created = await ensure_partitions(database, utc_now(), retention)
    if created:
        _log.info("partitions_created", names=created)
    outcome = await drop_expired_partitions(database, retention, utc_now())
    if outcome.names:
        _log.info("partitions_dropped", names=outcome.names)
    ids = await forget_external_ids(database, retention, utc_now())
    days = await forget_resources(database, retention, utc_now())
    if ids or days:
        _log.info("usage_forgotten", external_ids=ids, resource_days=days)
    return outcome.waiting
