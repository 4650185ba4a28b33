"""Purge stored responses of repeatable mutations (Idempotency-Key) that have expired."""

import asyncio

from portal.core.concurrency.worker_loop import every
from portal.core.database import Database
from portal.core.logs import get_log
from portal.graphql import purge_responses

EVERY_SECONDS = 300.0
_log = get_log(__name__)


async def run(database: Database, stop: asyncio.Event) -> None:
    """Purge every five minutes until stopped. Nothing depends on it: an expired response is never replayed."""

    async def purge() -> None:
        async with database.transaction() as tx:
            count = await purge_responses(tx)
        if count:
            _log.info("expired_responses_purged", count=count)

    await every(EVERY_SECONDS, purge, "purge_responses", stop)
