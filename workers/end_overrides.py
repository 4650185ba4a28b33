"""End overrides of limits whose time is over, within seconds of it."""

import asyncio

from portal import keys
from portal.core.concurrency.worker_loop import every
from portal.core.database import Database
from portal.core.logs import get_log

EVERY_SECONDS = 1.0
_log = get_log(__name__)


async def run(database: Database, stop: asyncio.Event) -> None:
    """End due overrides every second until stopped; at once where more are due than one transaction takes."""

    async def end_due() -> float | None:
        async with database.transaction() as tx:
            ended = await keys.end_overrides(tx)
        if ended:
            _log.info("overrides_ended", keys=ended)
        return 0 if ended else None

    await every(EVERY_SECONDS, end_due, "end_overrides", stop)
