"""Keep the monthly partitions of usage three months ahead, so that ingest never has to wait for one."""

import asyncio

from portal.core.backoff import Backoff, is_set_within
from portal.core.clock import utc_now
from portal.core.database import Database
from portal.core.logs import get_log
from portal.usage import ensure_partitions

EVERY_SECONDS = 3600.0
_log = get_log(__name__)


async def run(database: Database, stop: asyncio.Event) -> None:
    """Hourly until stopped."""
    backoff = Backoff()
    while not stop.is_set():
        try:
            created = await ensure_partitions(database, utc_now())
        except Exception as error:
            seconds = backoff.next_seconds()
            _log.warning("partitions_not_kept", error=repr(error), retry_seconds=seconds)
            await is_set_within(stop, seconds)
            continue
        backoff.reset()
        if created:
            _log.info("partitions_created", names=created)
        await is_set_within(stop, EVERY_SECONDS)
