"""End overrides of limits whose time is over, within seconds of it."""

import asyncio

from portal.core.backoff import Backoff, is_set_within
from portal.core.database import Database
from portal.core.logs import get_log
from portal.keys import end_overrides

EVERY_SECONDS = 1.0
_log = get_log(__name__)


async def run(database: Database, stop: asyncio.Event) -> None:
    """Each second until stopped; at once where more are due than one transaction takes."""
    backoff = Backoff()
    while not stop.is_set():
        try:
            async with database.transaction() as tx:
                ended = await end_overrides(tx)
        except Exception as error:
            seconds = backoff.next_seconds()
            _log.warning("overrides_not_ended", error=repr(error), retry_seconds=seconds)
            await is_set_within(stop, seconds)
            continue
        backoff.reset()
        if ended:
            _log.info("overrides_ended", keys=ended)
        else:
            await is_set_within(stop, EVERY_SECONDS)
