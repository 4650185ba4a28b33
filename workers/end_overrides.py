"""End overrides of limits whose time is over, within seconds of it."""

import asyncio

from portal.core.backoff import repeat
from portal.core.database import Database
from portal.core.logs import get_log
from portal.keys import end_overrides

EVERY_SECONDS = 1.0
_log = get_log(__name__)


async def run(database: Database, stop: asyncio.Event) -> None:
    """Each second until stopped; at once where more are due than one transaction takes."""

    async def end() -> float:
        async with database.transaction() as tx:
            ended = await end_overrides(tx)
        if ended:
            _log.info("overrides_ended", keys=ended)
        return 0 if ended else EVERY_SECONDS

    await repeat(end, stop, _log, "overrides_not_ended")
