"""Finalize the invoices of periods that are over, account by account, each in a transaction of its own."""

import asyncio
from datetime import datetime, timedelta

from portal.billing import Due, finalize_invoice, list_due, register_accounts
from portal.core.backoff import repeat
from portal.core.database import Database, is_connection_lost
from portal.core.logs import get_log

EVERY_SECONDS = 60.0
AT_ONCE = 100
_log = get_log(__name__)


async def run(database: Database, grace: timedelta, stop: asyncio.Event) -> None:
    """Each minute until stopped. Several of these share the work: an account in hand is left to who has it."""

    async def finalize() -> float:
        async with database.transaction() as tx:
            await register_accounts(tx)
            until = tx.now - grace
        last: Due | None = None
        while due := await _due(database, until, last):
            for one in due:
                if stop.is_set():
                    return 0
                await _finalize_all(database, one.account_id, grace)
            last = due[-1]
        return EVERY_SECONDS

    await repeat(finalize, stop, _log, "invoices_not_finalized")


async def _due(database: Database, until: datetime, last: Due | None) -> list[Due]:
    async with database.transaction() as tx:
        return await list_due(tx, until, after=last, most=AT_ONCE)


async def _finalize_all(database: Database, account_id: str, grace: timedelta) -> None:
    """Month by month. One account's failure is told and keeps no other waiting."""
    try:
        while await _finalize(database, account_id, grace):
            pass
    except Exception as error:
        if is_connection_lost(error):
            raise
        _log.exception("invoice_not_finalized", account_id=account_id)


async def _finalize(database: Database, account_id: str, grace: timedelta) -> bool:
    async with database.transaction() as tx:
        done = await finalize_invoice(tx, account_id, grace)
    if done is not None and done.invoice is not None:
        _log.info("invoice_finalized", account_id=account_id, number=done.invoice.number, period=done.period)
    return done is not None
