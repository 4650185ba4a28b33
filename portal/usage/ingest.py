"""Ingest: a batch from the bus becomes rows and buckets, every event exactly once.

One transaction: COPY into staging, insert what is new, roll up only what was inserted, commit. The primary key
(account_id, occurred_at, request_id), whose time derives from the id, makes it idempotent whatever the batches were, in
any order and from any number of workers at once. The same id with another content changes nothing and is logged. What
happened outside `bounds` is kept as a stray instead: see portal.usage.strays.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from asyncpg.exceptions import DataError
from sqlalchemy.exc import IntegrityError

from portal.core.database import Database
from portal.core.errors import Invalid
from portal.core.logs import get_log
from portal.usage import store
from portal.usage.partitions import create_partitions
from portal.usage.records import RESOURCE_MOST, PoisonBatch, UsageRecord, decode_batch, occurred_at
from portal.usage.retention import Bounds
from portal.usage.rules import month_of
from portal.usage.store import PeriodUse
from portal.usage.strays import Stray, insert_strays

THREAD_BYTES = 65_536
_OCCURRED_AT = store.STAGED.index("occurred_at")
_NO_PARTITION = "23514"
_log = get_log(__name__)

StagedRow = tuple[Any, ...]


@dataclass(slots=True)
class _Staged:
    """Each id once; how many came again with another content; what is not counted by itself."""

    rows: Sequence[StagedRow] = ()
    conflicts: int = 0
    strays: list[Stray] = field(default_factory=list)


async def ingest_usage(database: Database, batch: bytes, bounds: Bounds | None = None) -> list[PeriodUse]:
    """Count a batch. Returns the totals of every billing period in it, also when all of it was here before.

    Raises PoisonBatch for what can never be stored, anything else for what may work later: then nothing was stored.
    """
    staged = await _rows(batch, bounds)
    if not staged.rows and not staged.strays:
        return []
    try:
        return await _store(database, staged)
    except IntegrityError as error:
        if not is_partition_missing(error):
            raise
    await create_partitions(database, sorted({month_of(row[_OCCURRED_AT]) for row in staged.rows}))
    return await _store(database, staged)


def is_partition_missing(error: IntegrityError) -> bool:
    return getattr(error.orig, "sqlstate", None) == _NO_PARTITION


async def _rows(batch: bytes, bounds: Bounds | None) -> _Staged:
    """Large batches in a thread: the checks of this process go on meanwhile."""
    if len(batch) > THREAD_BYTES:
        return await asyncio.to_thread(_staged, batch, bounds)
    return _staged(batch, bounds)


def _staged(batch: bytes, bounds: Bounds | None) -> _Staged:
    staged = _Staged()
    rows: dict[tuple[str, str], StagedRow] = {}
    for record in decode_batch(batch):
        try:
            at = occurred_at(record.request_id)
        except ValueError as error:
            raise PoisonBatch(f"A usage record is not usable: {error}.") from error
        if bounds is not None and (reason := bounds.reason_against(at)):
            staged.strays.append(Stray(record, at, reason))
            continue
        row = staged_row(record, at)
        staged.conflicts += rows.setdefault((record.account_id, record.request_id), row) != row
    staged.rows = [*rows.values()]
    return staged


def staged_row(record: UsageRecord, at: datetime) -> StagedRow:
    """In the order of store.STAGED."""
    return (
        *(record.account_id, at, record.request_id, record.key_id, record.secret_id),
        *(record.environment, record.resource[:RESOURCE_MOST].replace("\0", "\ufffd"), record.code),
        *(record.cost, record.period),
    )


async def _store(database: Database, staged: _Staged) -> list[PeriodUse]:
    rows, conflicts = staged.rows, staged.conflicts
    async with database.transaction() as tx:
        try:
            await store.stage_events(tx, rows)
            if staged.strays:
                await insert_strays(tx, staged.strays)
        except (DataError, OverflowError, Invalid) as error:
            raise PoisonBatch(f"A usage record does not fit its table: {error}.") from error
        added, totals = await store.insert_staged(tx)
        if added < len(rows):
            times = [row[_OCCURRED_AT] for row in rows]
            conflicts += await store.count_conflicts(tx, min(times), max(times))
    if conflicts:
        _log.warning("usage_ids_conflict", count=conflicts, batch=len(rows))
    if staged.strays:
        _log.warning("usage_strays_kept", count=len(staged.strays), reasons=sorted({s.reason for s in staged.strays}))
    return totals
