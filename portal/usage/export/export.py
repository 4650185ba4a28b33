"""Export: raw events or buckets of an account as CSV, JSON Lines or Parquet, of any size, a piece at a time.

Rows come from a server-side cursor in the order of time, all from one snapshot; one piece is in memory at once.
Closing the iterator, or the transaction that it reads in, frees the cursor.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import DateTime, TextClause, bindparam, text

from portal import audit
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.usage.export.encoders import ENCODERS, Encoder, ExportFormat, Shape
from portal.usage.history import series_store as history
from portal.usage.history.bucket_ranges import plan_buckets
from portal.usage.history.series import UsageFilter
from portal.usage.rules import Granularity, aligned_range, check_range

EXPORT = audit.Action("usage.export", "exported usage")

_INSTANT = DateTime(timezone=True)


class ExportRows(StrEnum):
    """What a row is: a counted check, or a bucket (days are those of UTC)."""

    EVENTS = "events"
    MINUTES = "minutes"
    QUARTERS = "quarters"
    DAYS = "days"


@dataclass(frozen=True, slots=True)
class ExportQuery:
    """Rows whose time lies in [start, end), both aware."""

    start: datetime
    end: datetime
    rows: ExportRows = ExportRows.EVENTS
    filter: UsageFilter = field(default_factory=UsageFilter)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of the file, and how many rows are in it up to here."""

    data: bytes
    rows: int


_EVENTS = Shape(
    instants=("occurred_at", "settled_at"),
    numbers=("cost",),
    columns=(
        *("occurred_at", "request_id", "key_id", "secret_id", "environment", "resource", "outcome", "cost", "period"),
        "settled_at",
    ),
)
_BUCKETS = Shape(
    instants=("bucket_at",),
    numbers=("calls", "units"),
    columns=("bucket_at", "key_id", "environment", "resource", "outcome", "calls", "units"),
)
_SELECT = """
SELECT {columns} FROM usage_{rows}
WHERE account_id = :account AND {time} >= :start AND {time} < :end{where}
ORDER BY {order}
"""
_COUNT = "SELECT count(*) FROM usage_{rows} WHERE account_id = :account AND {time} >= :start AND {time} < :end{where}"


@requires(Permission.USAGE_READ)
async def start_export(tx: Tx, actor: Actor, query: ExportQuery, file_format: ExportFormat) -> int:
    """Write down who takes what; returns about how many rows it will be. Raises Forbidden, Invalid.

    In a transaction of its own: the log stays locked until its end, and the file may take an hour.
    """
    rows = await estimate_rows(tx, actor.account_id, query)
    said = {"format": file_format.value, "rows": query.rows.value}
    stretch = {"from": query.start.isoformat(), "to": query.end.isoformat()}
    await audit.record(tx, actor, EXPORT, actor.account_id, **said, **stretch)
    return rows


async def estimate_rows(tx: Tx, account_id: str, query: ExportQuery) -> int:
    """About how many rows it will be; of events whole quarter-hours are counted. Raises Invalid for no range."""
    if query.rows is ExportRows.EVENTS:
        start, end = aligned_range(query.start, query.end, Granularity.DAY)
        cells = history.CellQuery(plan_buckets([start], end, Granularity.DAY), None, query.filter.columns(), 1)
        return sum(cell.calls for cell in await history.list_cells(tx, account_id, cells))
    statement, values = count_statement(account_id, query)
    return await tx.get(statement, values, returns=int)


async def export_usage(tx: Tx, account_id: str, query: ExportQuery, file_format: ExportFormat) -> AsyncGenerator[Piece]:
    """Pieces of the file. Raises Invalid for a range that is none."""
    statement, values = export_statement(account_id, query)
    encoder = ENCODERS[file_format](_shape(query))
    async with aclosing(_pieces(tx, statement, values, encoder)) as pieces:
        async for piece in pieces:
            yield piece


def export_statement(account_id: str, query: ExportQuery) -> tuple[TextClause, dict[str, Any]]:
    return _statement(_SELECT, account_id, query)


def count_statement(account_id: str, query: ExportQuery) -> tuple[TextClause, dict[str, Any]]:
    return _statement(_COUNT, account_id, query)


async def _pieces(tx: Tx, statement: TextClause, values: dict[str, Any], encoder: Encoder) -> AsyncGenerator[Piece]:
    """Encoded in a thread: the checks of this process go on meanwhile."""
    count = 0
    yield Piece(encoder.head(), 0)
    async with aclosing(tx.stream(statement, values, rows=encoder.rows_at_once)) as parts:
        async for part in parts:
            count += len(part)
            yield Piece(await asyncio.to_thread(encoder.add, part), count)
    yield Piece(encoder.finish(), count)


def _shape(query: ExportQuery) -> Shape:
    return _EVENTS if query.rows is ExportRows.EVENTS else _BUCKETS


def _statement(pattern: str, account_id: str, query: ExportQuery) -> tuple[TextClause, dict[str, Any]]:
    start, end = check_range(query.start, query.end)
    is_raw = query.rows is ExportRows.EVENTS
    only = query.filter.columns()
    names = {
        "rows": query.rows.value,
        "time": "occurred_at" if is_raw else "bucket_at",
        "columns": ", ".join(_shape(query).columns).replace("outcome", "code AS outcome" if is_raw else "outcome"),
        "order": "occurred_at, request_id" if is_raw else "bucket_at, key_id, environment, resource, outcome",
        "where": "".join(f" AND {'code' if is_raw and name == 'outcome' else name} = :{name}" for name in only),
    }
    statement = text(pattern.format(**names))
    binds = bindparam("start", start, _INSTANT), bindparam("end", end, _INSTANT)
    return statement.bindparams(*binds), {"account": account_id, **only}
