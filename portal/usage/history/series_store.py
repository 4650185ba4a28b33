"""Statements that read the history of one account. Each names its range, so that no month outside is looked at."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, DateTime, Integer, Row, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

from portal.core.database import Tx
from portal.usage.history.bucket_ranges import BucketPlan, BucketRange
from portal.usage.records import OTHER

_INSTANT = DateTime(timezone=True)
_KINDS: dict[str, TypeEngine[Any]] = {"start": _INSTANT, "end": _INSTANT, "gains": Integer(), "loses": Integer()}
"""Of the columns of a span, in their order."""

_NEWEST = text("SELECT max(last_used_at) FROM secret_uses WHERE account_id = :account")

# Each span is an index range of its own, summed as it is read: neither sorted nor hashed by time. Its being a subquery
# that groups keeps the planner from turning the two around: it would read every bucket between first and last span.
_SUMS = """
SELECT span.gains, span.loses, bucket.*
FROM unnest(:{table}_start, :{table}_end, :{table}_gains, :{table}_loses) AS span (first, last, gains, loses)
CROSS JOIN LATERAL (
    SELECT {part} AS part, sum(calls)::bigint AS calls, sum(units)::bigint AS units,
        coalesce(sum(calls) FILTER (WHERE outcome = 'VALID'), 0)::bigint AS allowed,
        coalesce(sum(units) FILTER (WHERE outcome = 'VALID' AND environment = 'live'), 0)::bigint AS billable
    FROM {table} WHERE account_id = :account AND bucket_at >= span.first AND bucket_at < span.last
        AND bucket_at >= :{table}_from AND bucket_at < :{table}_to{where}
    GROUP BY 1
) AS bucket
"""
_CELLS = """
WITH sums AS ({sums}), cells AS (
    SELECT gains AS step, part, calls, units, allowed, billable FROM sums WHERE gains > 0
    UNION ALL SELECT loses, part, -calls, -units, -allowed, -billable FROM sums WHERE loses > 0
), top AS (
    SELECT part FROM cells GROUP BY part HAVING sum(calls) <> 0 ORDER BY sum(calls) DESC, part LIMIT :most
)
SELECT step, CASE WHEN part IN (SELECT part FROM top) THEN part ELSE :other END AS part,
    sum(calls)::bigint AS calls, sum(units)::bigint AS units, sum(allowed)::bigint AS allowed,
    sum(billable)::bigint AS billable
FROM cells GROUP BY 1, 2 HAVING sum(calls) <> 0
"""


@dataclass(frozen=True, slots=True)
class CellQuery:
    """`part` is the column to group by, or None; `only` holds columns with the value each must have."""

    plan_buckets: BucketPlan
    part: str | None
    only: Mapping[str, str]
    parts_most: int


async def find_newest(tx: Tx, account_id: str) -> datetime | None:
    """When the newest event that is ingested happened."""
    return await tx.find(_NEWEST, {"account": account_id}, returns=datetime)


async def list_cells(tx: Tx, account_id: str, query: CellQuery) -> Sequence[Row[Any]]:
    """Sums by step (counted from 1) and part; parts beyond the largest `parts_most` come as `other`."""
    statement, values = cells_statement(account_id, query)
    return (await tx.execute(statement, values)).all()


def cells_statement(account_id: str, query: CellQuery) -> tuple[TextClause, dict[str, Any]]:
    """The spans of each table, those that correct the borders of steps taken from one and given to the other."""
    where = "".join(f" AND {column} = :{column}" for column in query.only)
    sums = [_SUMS.format(table=table, part=query.part or "''", where=where) for table in query.plan_buckets]
    binds = [bind for table, spans in query.plan_buckets.items() for bind in _binds(table, spans)]
    values: dict[str, Any] = {"account": account_id, "most": query.parts_most, "other": OTHER, **query.only}
    return text(_CELLS.format(sums=" UNION ALL ".join(sums))).bindparams(*binds), values


def _binds(table: str, spans: Sequence[BucketRange]) -> Iterator[BindParameter[Any]]:
    columns = zip(*spans, strict=True)
    for (name, kind), column in zip(_KINDS.items(), columns, strict=True):
        yield bindparam(f"{table}_{name}", [*column], ARRAY(kind))
    yield bindparam(f"{table}_from", min(span.start for span in spans), _INSTANT)
    yield bindparam(f"{table}_to", max(span.end for span in spans), _INSTANT)
