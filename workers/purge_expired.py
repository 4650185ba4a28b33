"""Delete sessions and tokens that nobody can use any more, so that their tables stay as small as what lives."""

import asyncio

from portal.accounts import PURGE_BATCH_SIZE, purge_expired
from portal.core.backoff import repeat
from portal.core.database import Database
from portal.core.logs import get_log

EVERY_SECONDS = 900.0
_log = get_log(__name__)


async def run(database: Database, stop: asyncio.Event) -> None:
    """Every quarter of an hour until stopped; at once again where more has ended than one transaction deletes."""

    async def delete() -> float:
        async with database.transaction() as tx:
            sessions, tokens = await purge_expired(tx)
        if sessions or tokens:
            _log.info("ended_deleted", sessions=sessions, tokens=tokens)
        return EVERY_SECONDS if max(sessions, tokens) < PURGE_BATCH_SIZE else 0

    await repeat(delete, stop, _log, "ended_not_deleted")
