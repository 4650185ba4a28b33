"""Finalize the invoices of periods that are over, account by account, each in a transaction of its own."""

import asyncio
from datetime import datetime, timedelta

from portal.billing import Due, FinalizedInvoice, finalize_invoice, list_due, register_accounts
from portal.core.concurrency.backoff import every
from portal.core.database import Database
from portal.core.logs import get_log
from portal.core.outages.database_errors import is_server_unavailable

EVERY_SECONDS = 60.0
BATCH_SIZE = 100
_log = get_log(__name__)


async def run(database: Database, grace: timedelta, stop: asyncio.Event) -> None:
    """Finalize what is due every minute until stopped. Several share the work: an account is left to whoever has it."""

    async def finalize_due() -> None:
        async with database.transaction() as tx:
            await register_accounts(tx)
            until = tx.now - grace
        written, last = 0, None
        while not stop.is_set() and (due := await _due(database, until, last)):
            for account in due:
                written += 0 if stop.is_set() else await _finalize_all(database, account.account_id, grace)
            last = due[-1]
        if written:
            _log.info("invoices_finalized", invoices=written)

    await every(EVERY_SECONDS, finalize_due, "finalize_invoices", stop)


async def _due(database: Database, until: datetime, last: Due | None) -> list[Due]:
    async with database.transaction() as tx:
        return await list_due(tx, until, after=last, most=BATCH_SIZE)


async def _finalize_all(database: Database, account_id: str, grace: timedelta) -> int:
    """Finalize month by month and return how many invoices. One account's failure is logged and holds up no other."""
    written = 0
    try:
        while finalized := await _finalize(database, account_id, grace):
            written += finalized.invoice is not None
    except Exception as error:
        if is_server_unavailable(error):
            raise
        _log.exception("invoice_not_finalized", account_id=account_id)
    return written


async def _finalize(database: Database, account_id: str, grace: timedelta) -> FinalizedInvoice | None:
    async with database.transaction() as tx:
        return await finalize_invoice(tx, account_id, grace)
