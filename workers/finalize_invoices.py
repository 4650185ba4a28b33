"""Finalize the invoices of periods that are over, some accounts a transaction, without a lock that all share."""

import asyncio
from datetime import datetime, timedelta
from time import monotonic

from portal.billing import (
    Due,
    FinalizedInvoice,
    finalize_invoice,
    finalize_invoices,
    list_due,
    record_failure,
    register_accounts,
)
from portal.core.concurrency.worker_loop import every, rounds_of
from portal.core.database import Database
from portal.core.logs import get_log
from portal.core.outages.database_errors import is_server_unavailable

NAME = "finalize_invoices"
EVERY_SECONDS = 60.0
BATCH_SIZE = 100
TOGETHER = 10
"""Accounts of a transaction: so few that whoever waits for one of them, as ingest does, waits for 0.1 s."""
HELD_SECONDS = 0.2
REGISTER_SECONDS = 3600.0
"""New accounts are looked for this often: none is billed before its first month is over."""
_log = get_log(__name__)


async def run(database: Database, grace: timedelta, stop: asyncio.Event) -> None:
    """Finalize what is due every minute until stopped. Several share the work: an account is left to whoever has it."""
    register_at = 0.0

    async def round_of_billing() -> None:
        nonlocal register_at
        if monotonic() >= register_at:
            await _register(database, stop)
            register_at = monotonic() + REGISTER_SECONDS
        if written := await finalize_due(database, grace, stop):
            _log.info("invoices_finalized", invoices=written)

    await every(EVERY_SECONDS, round_of_billing, NAME, stop)


async def finalize_due(database: Database, grace: timedelta, stop: asyncio.Event) -> int:
    """Finalize whatever is due now, the longest ago first, and return how many invoices were written."""
    async with database.transaction() as tx:
        until = tx.now - grace
    written, last = 0, None
    while not stop.is_set() and (due := await _due(database, until, last)):
        rounds_of(NAME).begin()
        for begin in range(0, len(due), TOGETHER):
            accounts = [account.account_id for account in due[begin : begin + TOGETHER]]
            written += 0 if stop.is_set() else await _finalize_together(database, accounts, grace)
        last = due[-1]
    return written


async def _register(database: Database, stop: asyncio.Event) -> None:
    """Register every account that billing does not know yet, in portions."""
    after: str | None = ""
    while after is not None and not stop.is_set():
        async with database.transaction() as tx:
            after = await register_accounts(tx, after)


async def _due(database: Database, until: datetime, last: Due | None) -> list[Due]:
    async with database.transaction() as tx:
        return await list_due(tx, until, after=last, most=BATCH_SIZE)


async def _finalize_together(database: Database, accounts: list[str], grace: timedelta) -> int:
    """Finalize month by month and return how many invoices; each account by itself where one spoils it for all."""
    written = 0
    while accounts:
        try:
            async with database.transaction() as tx:
                finalized = await finalize_invoices(tx, accounts, grace)
        except Exception as error:
            if is_server_unavailable(error):
                raise
            return written + sum([await _finalize_all(database, account_id, grace) for account_id in accounts])
        written += sum(done.invoice is not None for done in finalized)
        accounts = [done.account_id for done in finalized]
    return written


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
        await _record_failure(database, account_id)
    return written


async def _record_failure(database: Database, account_id: str) -> None:
    """Note for the metric that the account fails; whoever holds its row, and delays that, keeps nobody waiting."""
    try:
        async with database.transaction() as tx:
            await tx.set_lock_timeout(HELD_SECONDS)
            await record_failure(tx, account_id)
    except Exception as error:
        if is_server_unavailable(error):
            raise


async def _finalize(database: Database, account_id: str, grace: timedelta) -> FinalizedInvoice | None:
    async with database.transaction() as tx:
        return await finalize_invoice(tx, account_id, grace)
