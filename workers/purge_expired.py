"""Purge expired sessions, tokens and secrets that were never looked at: only what can still be used is stored."""

import asyncio

from portal import accounts
from portal.accounts import PURGE_BATCH_SIZE
from portal.core.concurrency.worker_loop import every
from portal.core.database import Database
from portal.core.logs import get_log

EVERY_SECONDS = 60.0
_log = get_log(__name__)


async def run(database: Database, stop: asyncio.Event) -> None:
    """Purge every minute until stopped; at once where more has expired than one transaction deletes."""

    async def purge() -> float | None:
        async with database.transaction() as tx:
            sessions, tokens = await accounts.purge_expired(tx)
        if sessions or tokens:
            _log.info("expired_credentials_purged", sessions=sessions, tokens=tokens)
        return None if max(sessions, tokens) < PURGE_BATCH_SIZE else 0

    await every(EVERY_SECONDS, purge, "purge_expired", stop)
