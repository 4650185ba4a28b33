"""Export raw events or buckets of an account as CSV, JSON Lines or Parquet, of any size, a chunk at a time.

Rows come from a server-side cursor in the order of time, all from one snapshot; one chunk is in memory at once.
Closing the iterator, or the transaction that it reads in, frees the cursor.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from portal import audit
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.usage.export import store
from portal.usage.export.encoders import ENCODERS, ExportFormat
from portal.usage.export.query import ExportQuery
from portal.usage.history import count_calls
from portal.usage.rules import Granularity, aligned_range

EXPORT = audit.Action("usage.export", "exported usage")


@dataclass(frozen=True, slots=True)
class ExportChunk:
    """Some bytes of the file, and how many rows are in it up to here."""

    data: bytes
    rows: int


@requires(Permission.USAGE_READ)
async def start_export(tx: Tx, actor: Actor, query: ExportQuery, file_format: ExportFormat) -> int:
    """Audit who exports what, and return about how many rows it will be. Raises Forbidden, Invalid.

    In a transaction of its own: the log stays locked until its end, and the file may take an hour.
    """
    rows = await estimate_rows(tx, actor.account_id, query)
    details = {
        "format": file_format.value,
        "rows": query.rows.value,
        "from": query.start.isoformat(),
        "to": query.end.isoformat(),
    }
    await audit.record(tx, actor, EXPORT, actor.account_id, **details)
    return rows


async def estimate_rows(tx: Tx, account_id: str, query: ExportQuery) -> int:
    """Return about how many rows it will be; of events whole quarter-hours are counted. Raises Invalid for no range."""
    if query.is_raw:
        start, end = aligned_range(query.start, query.end, Granularity.DAY)
        return await count_calls(tx, account_id, start, end, query.filter)
    return await store.count_rows(tx, account_id, query)


async def export_usage(
    tx: Tx, account_id: str, query: ExportQuery, file_format: ExportFormat
) -> AsyncGenerator[ExportChunk]:
    """Yield the file's chunks. Raises Invalid for a range that is none.

    They are encoded in a thread: the checks of this process go on meanwhile.
    """
    encoder = ENCODERS[file_format](query.shape)
    count = 0
    async with aclosing(store.stream_rows(tx, account_id, query, encoder.rows_at_once)) as batches:
        yield ExportChunk(encoder.head(), 0)
        async for rows in batches:
            count += len(rows)
            yield ExportChunk(await asyncio.to_thread(encoder.add, rows), count)
        yield ExportChunk(encoder.finish(), count)
