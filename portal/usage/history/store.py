"""Statements that read the history of one account. Each names its range, so that no month outside is looked at.

Three parts: sums over buckets (series, exports' estimates), raw events (the request log), last uses of secrets.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Integer, Row, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

from portal.core.columns import INSTANT
from portal.core.database import Tx
from portal.usage.history.bucket_ranges import BucketPlan, BucketRange
from portal.usage.records import OTHER
from portal.usage.rules import BUCKET_ORIGIN

_RANGE_TYPES: dict[str, TypeEngine[Any]] = {
    "start": INSTANT,
    "end": INSTANT,
    "adds_to": Integer(),
    "takes_from": Integer(),
}
"""Of the fields of a BucketRange, in their order."""

# Each range is an index range of its own, summed as it is read: neither sorted nor hashed by time. Its being a subquery
# that groups keeps the planner from turning the two around: it would read every bucket between first and last range.
_SUMS = """
SELECT range.adds_to, range.takes_from, bucket.*
FROM unnest(:{table}_start, :{table}_end, :{table}_adds_to, :{table}_takes_from)
    AS range (first, last, adds_to, takes_from)
CROSS JOIN LATERAL (
    SELECT {group} AS part, sum(calls)::bigint AS calls, sum(units)::bigint AS units,
        coalesce(sum(calls) FILTER (WHERE outcome = 'VALID'), 0)::bigint AS allowed,
        coalesce(sum(units) FILTER (WHERE outcome = 'VALID' AND environment = 'live'), 0)::bigint AS billable
    FROM {table} WHERE account_id = :account AND bucket_at >= range.first AND bucket_at < range.last
        AND bucket_at >= :{table}_from AND bucket_at < :{table}_to{where}
    GROUP BY 1
) AS bucket
"""
_CELLS = """
WITH sums AS ({sums}), cells AS (
    SELECT adds_to AS step, part, calls, units, allowed, billable FROM sums WHERE adds_to > 0
    UNION ALL SELECT takes_from, part, -calls, -units, -allowed, -billable FROM sums WHERE takes_from > 0
), top AS (
    SELECT part FROM cells GROUP BY part HAVING sum(calls) <> 0 ORDER BY sum(calls) DESC, part LIMIT :limit
)
SELECT step, CASE WHEN part IN (SELECT part FROM top) THEN part ELSE :other END AS part,
    sum(calls)::bigint AS calls, sum(units)::bigint AS units, sum(allowed)::bigint AS allowed,
    sum(billable)::bigint AS billable
FROM cells GROUP BY 1, 2 HAVING sum(calls) <> 0
"""

EVENT_COLUMNS = (
    "occurred_at, request_id, key_id, secret_id, environment, resource, code, cost, period, settled_at, denial"
)
_PAGE = f"""
SELECT {EVENT_COLUMNS} FROM usage_events
WHERE account_id = :account AND occurred_at >= :start AND occurred_at < :end{{where}}
ORDER BY occurred_at DESC, request_id DESC LIMIT :limit
"""  # noqa: S608  # fixed names of our own
_PAGE_OF_QUARTERS = f"""
SELECT event.* FROM unnest(:quarters) AS quarter (begins) CROSS JOIN LATERAL (
    SELECT {EVENT_COLUMNS} FROM usage_events
    WHERE account_id = :account AND occurred_at >= quarter.begins
        AND occurred_at < quarter.begins + interval '15 minutes'
        AND occurred_at >= :start AND occurred_at < :end{{where}}
    ORDER BY occurred_at DESC, request_id DESC LIMIT :limit
) AS event ORDER BY occurred_at DESC, request_id DESC LIMIT :limit
"""  # noqa: S608  # fixed names of our own
_QUARTERS = f"""
SELECT bucket_at FROM usage_quarters
WHERE account_id = :account AND bucket_at >= date_bin('15 minutes', :start, {BUCKET_ORIGIN})
    AND bucket_at < :end{{where}}
GROUP BY bucket_at ORDER BY bucket_at DESC LIMIT :limit
"""  # noqa: S608  # fixed names of our own
_COUNT = """
SELECT count(*) FROM usage_events
WHERE account_id = :account AND occurred_at >= :start AND occurred_at < :end{where}
"""
_FIND = text(f"""
SELECT {EVENT_COLUMNS} FROM usage_events
WHERE account_id = :account AND occurred_at = :at AND request_id = :request_id
""").bindparams(bindparam("at", type_=INSTANT))  # noqa: S608  # fixed names of our own

_NEWEST = text("SELECT max(last_used_at) FROM secret_uses WHERE account_id = :account")
_LAST_USES = text("""
SELECT secret_id, last_used_at, last_used_address FROM secret_uses
WHERE account_id = :account AND secret_id = ANY(:secrets)
""")

EventPosition = tuple[datetime, str]
"""(occurred_at, request_id): where an event stands in the request log."""


@dataclass(frozen=True, slots=True)
class CellQuery:
    """Sums to read: `group_by` is a column or None, `filters` the value that each column must have.

    Groups beyond the `max_groups` with the most calls come as `other`.
    """

    plan: BucketPlan
    group_by: str | None
    filters: Mapping[str, str]
    max_groups: int


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Events of [start, end), the newest first, that follow `after`; `filters` by column of the buckets."""

    start: datetime
    end: datetime
    filters: Mapping[str, str]
    limit: int
    after: EventPosition | None = None


@dataclass(frozen=True, slots=True)
class LastUse:
    """The newest use of a secret. `address` is the newest that a gateway passed on; None: none ever did."""

    at: datetime
    address: str | None


async def list_cells(tx: Tx, account_id: str, query: CellQuery) -> Sequence[Row[Any]]:
    """Return sums by step (counted from 1) and group."""
    statement, values = cells_statement(account_id, query)
    return (await tx.execute(statement, values)).all()


def cells_statement(account_id: str, query: CellQuery) -> tuple[TextClause, dict[str, Any]]:
    """Build the statement over each table's ranges, some of which add to one step and take from another."""
    where = "".join(f" AND {column} = :{column}" for column in query.filters)
    sums = [_SUMS.format(table=table, group=query.group_by or "''", where=where) for table in query.plan]
    binds = [bind for table, ranges in query.plan.items() for bind in _range_binds(table, ranges)]
    values: dict[str, Any] = {"account": account_id, "limit": query.max_groups, "other": OTHER, **query.filters}
    return text(_CELLS.format(sums=" UNION ALL ".join(sums))).bindparams(*binds), values


async def list_page(tx: Tx, account_id: str, query: EventQuery) -> Sequence[Row[Any]]:
    """Return the events of the query."""
    statement, values = page_statement(account_id, query)
    return (await tx.execute(statement, values)).all()


async def list_page_of_quarters(
    tx: Tx, account_id: str, query: EventQuery, quarters: Sequence[datetime]
) -> Sequence[Row[Any]]:
    """Return the events of the query that happened in these quarter-hours."""
    statement, values = page_of_quarters_statement(account_id, query, quarters)
    return (await tx.execute(statement, values)).all()


async def list_quarters(tx: Tx, account_id: str, query: EventQuery) -> list[datetime]:
    """Return the quarter-hours with such an event, or one whose resource was counted as `other`, the newest first."""
    statement, values = quarters_statement(account_id, query)
    return await tx.list(statement, values, returns=datetime)


async def count_events(tx: Tx, account_id: str, query: EventQuery) -> int:
    """Count the events of the range that match; position and limit play no part."""
    statement, values = count_statement(account_id, query)
    return await tx.get(statement, values, returns=int)


async def find_event(tx: Tx, account_id: str, at: datetime, request_id: str) -> Row[Any] | None:
    """Return the event that happened at this instant under this id, or None."""
    statement, values = find_statement(account_id, at, request_id)
    return (await tx.execute(statement, values)).one_or_none()


async def find_newest(tx: Tx, account_id: str) -> datetime | None:
    """Return when the account's newest ingested event happened, None without any."""
    return await tx.find(_NEWEST, {"account": account_id}, returns=datetime)


async def last_used_by_secret(tx: Tx, account_id: str, secret_ids: Sequence[str]) -> dict[str, LastUse]:
    """Return the last use of each secret by its id. Secrets that were never used are absent."""
    rows = await tx.execute(_LAST_USES, {"account": account_id, "secrets": [*secret_ids]})
    return {row.secret_id: LastUse(row.last_used_at, row.last_used_address or None) for row in rows}


def count_statement(account_id: str, query: EventQuery) -> tuple[TextClause, dict[str, Any]]:
    return _in_range(_COUNT.format(where=_where(query.filters)), query), {"account": account_id, **query.filters}


def find_statement(account_id: str, at: datetime, request_id: str) -> tuple[TextClause, dict[str, Any]]:
    return _FIND, {"account": account_id, "at": at, "request_id": request_id}


def page_statement(account_id: str, query: EventQuery) -> tuple[TextClause, dict[str, Any]]:
    where = _where(query.filters) + _after(query)
    return _in_range(_PAGE.format(where=where), query), _page_values(account_id, query)


def page_of_quarters_statement(
    account_id: str, query: EventQuery, quarters: Sequence[datetime]
) -> tuple[TextClause, dict[str, Any]]:
    where = _where(query.filters) + _after(query)
    statement = _in_range(_PAGE_OF_QUARTERS.format(where=where), query)
    return statement.bindparams(bindparam("quarters", [*quarters], ARRAY(INSTANT))), _page_values(account_id, query)


def quarters_statement(account_id: str, query: EventQuery) -> tuple[TextClause, dict[str, Any]]:
    where = "".join(
        f" AND ({name} = :{name} OR {name} = '{OTHER}')" if name == "resource" else f" AND {name} = :{name}"
        for name in query.filters
    )
    values = {"account": account_id, "limit": query.limit, **query.filters}
    return _in_range(_QUARTERS.format(where=where), query), values


def _range_binds(table: str, ranges: Sequence[BucketRange]) -> Iterator[BindParameter[Any]]:
    columns = zip(*ranges, strict=True)
    for (name, kind), column in zip(_RANGE_TYPES.items(), columns, strict=True):
        yield bindparam(f"{table}_{name}", [*column], ARRAY(kind))
    yield bindparam(f"{table}_from", min(bucket_range.start for bucket_range in ranges), INSTANT)
    yield bindparam(f"{table}_to", max(bucket_range.end for bucket_range in ranges), INSTANT)


def _where(filters: Mapping[str, str]) -> str:
    """Rename the outcome's column: a raw event calls it `code`."""
    return "".join(f" AND {'code' if name == 'outcome' else name} = :{name}" for name in filters)


def _after(query: EventQuery) -> str:
    return " AND (occurred_at, request_id) < (:after_at, :after_id)" if query.after else ""


def _in_range(statement: str, query: EventQuery) -> TextClause:
    binds = [bindparam("start", query.start, INSTANT), bindparam("end", query.end, INSTANT)]
    if ":after_at" in statement and query.after:
        binds.append(bindparam("after_at", query.after[0], INSTANT))
    return text(statement).bindparams(*binds)


def _page_values(account_id: str, query: EventQuery) -> dict[str, Any]:
    values: dict[str, Any] = {"account": account_id, "limit": query.limit, **query.filters}
    return values | ({"after_id": query.after[1]} if query.after else {})
