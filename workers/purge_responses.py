"""Delete answers that were kept for repetitions (Idempotency-Key) and have expired."""

import asyncio

from portal.core.backoff import repeat
from portal.core.database import Database
from portal.core.logs import get_log
from portal.graphql import purge_responses

EVERY_SECONDS = 300.0
_log = get_log(__name__)


async def run(database: Database, stop: asyncio.Event) -> None:
    """Each five minutes until stopped. Nobody depends on it: an expired answer is given to nobody."""

    async def forget() -> float:
        async with database.transaction() as tx:
            forgotten = await purge_responses(tx)
        if forgotten:
            _log.info("answers_forgotten", count=forgotten)
        return EVERY_SECONDS

    await repeat(forget, stop, _log, "answers_not_forgotten")
