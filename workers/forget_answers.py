"""Delete answers that were kept for repetitions (Idempotency-Key) and have expired."""

import asyncio

from portal.core.backoff import Backoff, is_set_within
from portal.core.database import Database
from portal.core.logs import get_log
from portal.graphql.kept_answers import forget_answers

EVERY_SECONDS = 300.0
_log = get_log(__name__)


async def run(database: Database, stop: asyncio.Event) -> None:
    """Each five minutes until stopped. Nobody depends on it: an expired answer is given to nobody."""
    backoff = Backoff()
    while not stop.is_set():
        try:
            async with database.transaction() as tx:
                forgotten = await forget_answers(tx)
        except Exception as error:
            seconds = backoff.next_seconds()
            _log.warning("answers_not_forgotten", error=repr(error), retry_seconds=seconds)
            await is_set_within(stop, seconds)
            continue
        backoff.reset()
        if forgotten:
            _log.info("answers_forgotten", count=forgotten)
        await is_set_within(stop, EVERY_SECONDS)
