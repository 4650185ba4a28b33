"""Statements that read the history of one account. Each names its range, so that no month outside is looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Integer, Row, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from portal.core.database import Tx
from portal.usage.cover import Cover, Edge
from portal.usage.records import OTHER

_INSTANT = DateTime(timezone=True)
_INTEGER = Integer()
_FIGURES = "outcome, environment"

_NEWEST = text("SELECT max(last_used_at) FROM secret_uses WHERE account_id = :account")

_BUCKETS = """
SELECT width_bucket(bucket_at, :starts) AS step, {part} AS part, {figures}, calls, units
FROM {table} WHERE account_id = :account AND bucket_at >= :start AND bucket_at < :end{where}
"""
# OFFSET 0 keeps the planner from turning the two around: it would read every quarter-hour between first and last edge.
_MOVED = """
moved AS MATERIALIZED (
    SELECT edge.gains, edge.loses, bucket.part, {figures}, sum(calls)::bigint AS calls, sum(units)::bigint AS units
    FROM unnest(:edge_starts, :edge_ends, :edge_gains, :edge_loses) AS edge (first, last, gains, loses)
    CROSS JOIN LATERAL (
        SELECT {part} AS part, {figures}, calls, units FROM usage_quarters
        WHERE account_id = :account AND bucket_at >= edge.first AND bucket_at < edge.last
            AND bucket_at >= :edges_start AND bucket_at < :edges_end{where}
        OFFSET 0
    ) AS bucket
    GROUP BY edge.gains, edge.loses, bucket.part, {figures}
), """
_EDGES = (
    "SELECT gains AS step, part, {figures}, calls, units FROM moved WHERE gains > 0",
    "SELECT loses AS step, part, {figures}, -calls, -units FROM moved WHERE loses > 0",
)
_CELLS = """
WITH {moved}buckets AS ({buckets}), cells AS (
    SELECT step, part, sum(calls) AS calls, sum(units) AS units,
        sum(calls) FILTER (WHERE outcome = 'VALID') AS allowed,
        sum(units) FILTER (WHERE outcome = 'VALID' AND environment = 'live') AS billable
    FROM buckets GROUP BY 1, 2 HAVING sum(calls) <> 0
), top AS (
    SELECT part FROM cells GROUP BY part ORDER BY sum(calls) DESC, part LIMIT :most
)
SELECT step, CASE WHEN part IN (SELECT part FROM top) THEN part ELSE :other END AS part,
    sum(calls)::bigint AS calls, sum(units)::bigint AS units,
    coalesce(sum(allowed), 0)::bigint AS allowed, coalesce(sum(billable), 0)::bigint AS billable
FROM cells GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class CellQuery:
    """`part` is the column to group by, or None; `only` holds columns with the value each must have."""

    cover: Cover
    part: str | None
    only: Mapping[str, str]
    parts_most: int


async def find_newest(tx: Tx, account_id: str) -> datetime | None:
    """When the newest event that is ingested happened."""
    newest: datetime | None = await tx.find(_NEWEST, {"account": account_id})
    return newest


async def list_cells(tx: Tx, account_id: str, query: CellQuery) -> Sequence[Row[Any]]:
    """Sums by step (counted from 1) and part; parts beyond the largest `parts_most` come as `other`."""
    statement, values = cells_statement(account_id, query)
    return (await tx.execute(statement, values)).all()


def cells_statement(account_id: str, query: CellQuery) -> tuple[TextClause, dict[str, Any]]:
    """Buckets of whole steps, and the quarter-hours that correct their borders."""
    where = "".join(f" AND {column} = :{column}" for column in query.only)
    names = {"part": query.part or "''", "figures": _FIGURES, "where": where}
    covered, edges = query.cover, query.cover.edges
    parts = []
    values: dict[str, Any] = {"account": account_id, "most": query.parts_most, "other": OTHER, **query.only}
    binds: list[Any] = []
    if covered.start < covered.end:
        parts.append(_BUCKETS.format(table=covered.table, **names))
        binds += [
            bindparam("starts", covered.starts, ARRAY(_INSTANT)),
            bindparam("start", covered.start, _INSTANT),
            bindparam("end", covered.end, _INSTANT),
        ]
    if edges:
        parts += [edge.format(**names) for edge in _EDGES]
        binds += _edge_binds(edges)
    moved = _MOVED.format(**names) if edges else ""
    return text(_CELLS.format(moved=moved, buckets=" UNION ALL ".join(parts))).bindparams(*binds), values


def _edge_binds(edges: Sequence[Edge]) -> list[Any]:
    return [
        bindparam("edge_starts", [edge.start for edge in edges], ARRAY(_INSTANT)),
        bindparam("edge_ends", [edge.end for edge in edges], ARRAY(_INSTANT)),
        bindparam("edge_gains", [edge.gains for edge in edges], ARRAY(_INTEGER)),
        bindparam("edge_loses", [edge.loses for edge in edges], ARRAY(_INTEGER)),
        bindparam("edges_start", min(edge.start for edge in edges), _INSTANT),
        bindparam("edges_end", max(edge.end for edge in edges), _INSTANT),
    ]
