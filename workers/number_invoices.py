"""Number the invoices that are finalized, many a transaction: with its number an invoice is issued, and visible."""

import asyncio
from zoneinfo import ZoneInfo

from portal.billing import MAX_NUMBERED, number_invoices
from portal.core.concurrency.worker_loop import every
from portal.core.database import Database
from portal.core.logs import get_log

EVERY_SECONDS = 2.0
_log = get_log(__name__)


async def run(database: Database, zone: ZoneInfo, stop: asyncio.Event) -> None:
    """Give numbers every two seconds until stopped. Of several processes one does it at a time."""

    async def number() -> float | None:
        async with database.transaction() as tx:
            numbered = await number_invoices(tx, zone)
        if numbered:
            _log.info("invoices_numbered", invoices=numbered)
        return 0 if numbered == MAX_NUMBERED else None

    await every(EVERY_SECONDS, number, "number_invoices", stop)
