"""Ingest: batches from the bus become rows and buckets, every event exactly once.

One transaction: COPY into staging, insert what is new, roll up only what was inserted, commit. The primary key
(account_id, occurred_at, request_id), whose time derives from the id, makes it idempotent whatever the batches were, in
any order and from any number of workers at once.

What cannot be counted goes to the quarantine in the same transaction and costs nothing else: the same id with another
content, a record that is none, a time that lies ahead, a value that PostgreSQL refuses.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from asyncpg.exceptions import DataError
from sqlalchemy.exc import DBAPIError, IntegrityError

from portal.core.clock import utc_now
from portal.core.database import Database, Tx
from portal.core.logs import get_log
from portal.usage.ingest import store
from portal.usage.ingest.resource_cap import ResourceCap
from portal.usage.ingest.store import PeriodTotal
from portal.usage.ingest.validate import (
    CONFLICT,
    REFUSED,
    RejectedRecord,
    ResourceKey,
    StagedRow,
    ValidatedBatch,
    validate_batches,
)
from portal.usage.records import OTHER, encode_batch
from portal.usage.retention import create_partitions, is_partition_missing
from portal.usage.rules import EARLIEST, month_of

THREAD_BYTES = 65_536
CONFLICT_DETAIL = "Its id is counted with another content."
MAX_AHEAD = timedelta(days=1)
_ACCOUNT_ID = store.STAGED.index("account_id")
_OCCURRED_AT = store.STAGED.index("occurred_at")
_RESOURCE = store.STAGED.index("resource")
_REFUSALS = ("22", "54")
"""SQLSTATE classes: data exception, program limit exceeded."""
_log = get_log(__name__)


@dataclass(slots=True)
class IngestResult:
    """What became of some batches; `totals` of every billing period in them, also when all of it was here before.

    `rejected` are all that could not be counted, `quarantined` those of them that were not in quarantine yet.
    """

    events: int = 0
    added: int = 0
    rejected: int = 0
    quarantined: int = 0
    oldest: datetime | None = None
    totals: list[PeriodTotal] = field(default_factory=list)


async def ingest_usage(database: Database, batch: bytes) -> list[PeriodTotal]:
    """Count one batch. Raises what may work later: then nothing was stored."""
    return (await ingest_batches(database, [batch], ResourceCap())).totals


async def ingest_batches(
    database: Database, batches: Sequence[bytes], cap: ResourceCap, earliest: datetime = EARLIEST
) -> IngestResult:
    """Count batches in one transaction. Raises what may work later: then nothing of them was stored.

    Events before `earliest` are quarantined as LATE: whether they were counted before is no longer known.
    """
    latest = utc_now() + MAX_AHEAD
    is_large = sum(map(len, batches)) > THREAD_BYTES
    # In a thread: the checks of this process go on meanwhile.
    validated = (
        await asyncio.to_thread(validate_batches, batches, latest, earliest)
        if is_large
        else validate_batches(batches, latest, earliest)
    )
    try:
        return await _store_with_partitions(database, validated, cap)
    except (DataError, OverflowError, DBAPIError) as error:
        if not _is_refusal(error) or not validated.rows:
            raise
        return await _store_in_halves(database, validated, cap, error)


async def _store_with_partitions(database: Database, validated: ValidatedBatch, cap: ResourceCap) -> IngestResult:
    try:
        return await _store(database, validated, cap)
    except IntegrityError as error:
        if not is_partition_missing(error):
            raise
    await create_partitions(database, sorted({month_of(row[_OCCURRED_AT]) for row in validated.rows.values()}))
    return await _store(database, validated, cap)


async def _store_in_halves(
    database: Database, validated: ValidatedBatch, cap: ResourceCap, error: Exception
) -> IngestResult:
    """Halve a batch until the records that PostgreSQL refuses stand alone: they are rejected, the others counted."""
    records = [*validated.records.values(), *(record for _, record in validated.conflicting_duplicates)]
    if len(records) == 1:
        alone = ValidatedBatch(rejected=[*validated.rejected])
        alone.reject(records[0], REFUSED, str(error))
        return await _store(database, alone, cap)
    result = await _store(database, ValidatedBatch(rejected=validated.rejected), cap)
    middle = len(records) // 2
    for half in (records[:middle], records[middle:]):
        part = await ingest_batches(database, [encode_batch(half)], cap)
        result.events += part.events
        result.added += part.added
        result.rejected += part.rejected
        result.quarantined += part.quarantined
        result.totals += part.totals
    return result


async def _store(database: Database, validated: ValidatedBatch, cap: ResourceCap) -> IngestResult:
    if not validated.rows and not validated.rejected:
        return IngestResult()
    async with database.transaction() as tx:
        capped = await cap.apply(tx, validated.resources)
        rows: list[StagedRow] = [*validated.rows.values()]
        result = IngestResult(len(rows), oldest=min((row[_OCCURRED_AT] for row in rows), default=None))
        rejected = validated.rejected
        if rows:
            has_overflow = bool(capped.overflow)
            staged = [_with_bucket_resource(row, capped.overflow) for row in rows] if has_overflow else rows
            await store.stage_events(tx, staged, has_overflow=has_overflow)
            result.added, result.totals = await store.insert_staged(tx, has_overflow=has_overflow)
            await store.update_secret_uses(tx, validated.newest_uses)
            rejected = [*rejected, *await _conflicts(tx, validated, is_repeated=result.added < len(rows))]
        result.rejected = len(rejected)
        result.quarantined = await store.insert_rejected(tx, rejected)
    cap.remember(capped.names)
    if result.quarantined:
        _log.error(
            "usage_quarantined", count=result.quarantined, reasons=sorted({reject.reason for reject in rejected})
        )
    return result


def _with_bucket_resource(row: StagedRow, overflow: set[ResourceKey]) -> StagedRow:
    is_other = (row[_ACCOUNT_ID], row[_OCCURRED_AT].date(), row[_RESOURCE]) in overflow
    return (*row, OTHER if is_other else None)


async def _conflicts(tx: Tx, validated: ValidatedBatch, *, is_repeated: bool) -> list[RejectedRecord]:
    """Return those whose id is counted with another content, be it from before or from this very transaction."""
    conflicts = ValidatedBatch()
    if is_repeated:
        times = [row[_OCCURRED_AT] for row in validated.rows.values()]
        for event in await store.list_conflicts(tx, min(times), max(times)):
            conflicts.reject(validated.records[event], CONFLICT, CONFLICT_DETAIL)
    for row, record in validated.conflicting_duplicates:
        if await store.is_conflict(tx, row):
            conflicts.reject(record, CONFLICT, CONFLICT_DETAIL)
    return conflicts.rejected


def _is_refusal(error: Exception) -> bool:
    """Return whether PostgreSQL refused the data, as opposed to failing at the moment."""
    if isinstance(error, DBAPIError):
        return str(getattr(error.orig, "sqlstate", "")).startswith(_REFUSALS)
    return isinstance(error, DataError | OverflowError)
