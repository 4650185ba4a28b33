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
from portal.usage.ingest.resource_cap import ResourceNames
from portal.usage.ingest.store import PeriodUse
from portal.usage.ingest.validate import CONFLICT, REFUSED, Named, Sifted, StagedRow, Suspect, sift
from portal.usage.records import OTHER, encode_batch
from portal.usage.retention.partitions import create_partitions
from portal.usage.rules import EARLIEST, month_of

THREAD_BYTES = 65_536
COUNTED_OTHERWISE = "Its id is counted with another content."
AHEAD_MOST = timedelta(days=1)
_OCCURRED_AT = store.STAGED.index("occurred_at")
_RESOURCE = store.STAGED.index("resource")
_NO_PARTITION = "23514"
_REFUSALS = ("22", "54")
"""SQLSTATE classes: data exception, program limit exceeded."""
_log = get_log(__name__)


@dataclass(slots=True)
class Ingested:
    """`totals` of every billing period in the batches, also when all of it was here before.

    `suspects` are all that could not be counted, `quarantined` those of them that were not in quarantine yet.
    """

    events: int = 0
    added: int = 0
    suspects: int = 0
    quarantined: int = 0
    oldest: datetime | None = None
    totals: list[PeriodUse] = field(default_factory=list)


async def ingest_usage(database: Database, batch: bytes) -> list[PeriodUse]:
    """Count one batch. Raises what may work later: then nothing was stored."""
    return (await ingest_batches(database, [batch], ResourceNames())).totals


async def ingest_batches(
    database: Database, batches: Sequence[bytes], names: ResourceNames, earliest: datetime = EARLIEST
) -> Ingested:
    """Count batches in one transaction. Raises what may work later: then nothing of them was stored.

    Events before `earliest` are quarantined as LATE: whether they were counted before is no longer known.
    """
    latest = utc_now() + AHEAD_MOST
    is_large = sum(map(len, batches)) > THREAD_BYTES
    # In a thread: the checks of this process go on meanwhile.
    sifted = await asyncio.to_thread(sift, batches, latest, earliest) if is_large else sift(batches, latest, earliest)
    try:
        return await _store_with_partitions(database, sifted, names)
    except (DataError, OverflowError, DBAPIError) as error:
        if not _is_refusal(error) or not sifted.rows:
            raise
        return await _store_in_halves(database, sifted, names, error)


async def _store_with_partitions(database: Database, sifted: Sifted, names: ResourceNames) -> Ingested:
    try:
        return await _store(database, sifted, names)
    except IntegrityError as error:
        if not is_partition_missing(error):
            raise
    await create_partitions(database, sorted({month_of(row[_OCCURRED_AT]) for row in sifted.rows.values()}))
    return await _store(database, sifted, names)


async def _store_in_halves(database: Database, sifted: Sifted, names: ResourceNames, error: Exception) -> Ingested:
    """Something in it is refused: the healthy records are counted, what remains at the end is set apart."""
    records = [*sifted.records.values(), *(record for _, record in sifted.rivals)]
    if len(records) == 1:
        only = Sifted(suspects=[*sifted.suspects])
        only.suspect(records[0], REFUSED, str(error))
        return await _store(database, only, names)
    whole = await _store(database, Sifted(suspects=sifted.suspects), names)
    middle = len(records) // 2
    for half in (records[:middle], records[middle:]):
        part = await ingest_batches(database, [encode_batch(half)], names)
        whole.events += part.events
        whole.added += part.added
        whole.suspects += part.suspects
        whole.quarantined += part.quarantined
        whole.totals += part.totals
    return whole


async def _store(database: Database, sifted: Sifted, names: ResourceNames) -> Ingested:
    if not sifted.rows and not sifted.suspects:
        return Ingested()
    async with database.transaction() as tx:
        others, found = await names.beyond(tx, sifted.named)
        rows: list[StagedRow] = [*sifted.rows.values()]
        told = Ingested(len(rows), oldest=min((row[_OCCURRED_AT] for row in rows), default=None))
        suspects = sifted.suspects
        if rows:
            has_others = bool(others)
            staged = [_with_bucket(row, others) for row in rows] if has_others else rows
            await store.stage_events(tx, staged, has_others=has_others)
            told.added, told.totals = await store.insert_staged(tx, has_others=has_others)
            await store.update_uses(tx, sifted.uses)
            suspects = [*suspects, *await _conflicts(tx, sifted, is_repeated=told.added < len(rows))]
        told.suspects = len(suspects)
        told.quarantined = await store.insert_suspects(tx, suspects)
    names.remember(found)
    if told.quarantined:
        _log.error("usage_quarantined", count=told.quarantined, reasons=sorted({one.reason for one in suspects}))
    return told


def _with_bucket(row: StagedRow, others: set[Named]) -> StagedRow:
    is_other = (row[0], row[_OCCURRED_AT].date(), row[_RESOURCE]) in others
    return (*row, OTHER if is_other else None)


async def _conflicts(tx: Tx, sifted: Sifted, *, is_repeated: bool) -> list[Suspect]:
    """Those whose id is counted with another content, be it from before or from this very transaction."""
    apart = Sifted()
    if is_repeated:
        times = [row[_OCCURRED_AT] for row in sifted.rows.values()]
        for event in await store.list_conflicts(tx, min(times), max(times)):
            apart.suspect(sifted.records[event], CONFLICT, COUNTED_OTHERWISE)
    for row, record in sifted.rivals:
        if await store.is_conflict(tx, row):
            apart.suspect(record, CONFLICT, COUNTED_OTHERWISE)
    return apart.suspects


def is_partition_missing(error: IntegrityError) -> bool:
    return getattr(error.orig, "sqlstate", None) == _NO_PARTITION


def _is_refusal(error: Exception) -> bool:
    """Whether it is the data that PostgreSQL does not take, as opposed to the moment."""
    if isinstance(error, DBAPIError):
        return str(getattr(error.orig, "sqlstate", "")).startswith(_REFUSALS)
    return isinstance(error, DataError | OverflowError)
