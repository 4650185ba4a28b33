"""Ingest: a batch from the bus becomes rows and buckets, every event exactly once.

One transaction: COPY into staging, insert what is new, roll up only what was inserted, commit. The primary key
(account_id, occurred_at, request_id), whose time derives from the id, makes it idempotent whatever the batches were, in
any order and from any number of workers at once. The same id with another content changes nothing and is logged.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from asyncpg.exceptions import DataError
from sqlalchemy.exc import IntegrityError

from portal.core.database import Database
from portal.core.logs import get_log
from portal.usage import store
from portal.usage.partitions import create_partitions
from portal.usage.records import RESOURCE_MOST, PoisonBatch, decode_batch, occurred_at
from portal.usage.rules import month_of
from portal.usage.store import PeriodUse

THREAD_BYTES = 65_536
_OCCURRED_AT = store.STAGED.index("occurred_at")
_NO_PARTITION = "23514"
_log = get_log(__name__)

StagedRow = tuple[Any, ...]


async def ingest_usage(database: Database, batch: bytes) -> list[PeriodUse]:
    """Count a batch. Returns the totals of every billing period in it, also when all of it was here before.

    Raises PoisonBatch for what can never be stored, anything else for what may work later: then nothing was stored.
    """
    rows, conflicts = await _rows(batch)
    if not rows:
        return []
    try:
        return await _store(database, rows, conflicts)
    except IntegrityError as error:
        if getattr(error.orig, "sqlstate", None) != _NO_PARTITION:
            raise
    await create_partitions(database, sorted({month_of(row[_OCCURRED_AT]) for row in rows}))
    return await _store(database, rows, conflicts)


async def _rows(batch: bytes) -> tuple[Sequence[StagedRow], int]:
    """Large batches in a thread: the checks of this process go on meanwhile."""
    return await asyncio.to_thread(_staged, batch) if len(batch) > THREAD_BYTES else _staged(batch)


def _staged(batch: bytes) -> tuple[Sequence[StagedRow], int]:
    """Each id once, and how many came again with another content."""
    rows: dict[tuple[str, str], StagedRow] = {}
    conflicts = 0
    for record in decode_batch(batch):
        try:
            at = occurred_at(record.request_id)
        except ValueError as error:
            raise PoisonBatch(f"A usage record is not usable: {error}.") from error
        resource = record.resource[:RESOURCE_MOST].replace("\0", "\ufffd")
        row = (
            *(record.account_id, at, record.request_id, record.key_id, record.secret_id),
            *(record.environment, resource, record.code, record.cost, record.period),
        )
        conflicts += rows.setdefault((record.account_id, record.request_id), row) != row
    return [*rows.values()], conflicts


async def _store(database: Database, rows: Sequence[StagedRow], conflicts: int) -> list[PeriodUse]:
    async with database.transaction() as tx:
        try:
            await store.stage_events(tx, rows)
        except (DataError, OverflowError) as error:
            raise PoisonBatch(f"A usage record does not fit its table: {error}.") from error
        added, totals = await store.insert_staged(tx)
        if added < len(rows):
            times = [row[_OCCURRED_AT] for row in rows]
            conflicts += await store.count_conflicts(tx, min(times), max(times))
    if conflicts:
        _log.warning("usage_ids_conflict", count=conflicts, batch=len(rows))
    return totals
