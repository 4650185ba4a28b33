"""Statements that read raw events of one account. Each names its range, so that no month outside is looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Row, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from portal.core.database import Tx
from portal.usage.records import OTHER

_INSTANT = DateTime(timezone=True)
COLUMNS = "occurred_at, request_id, key_id, secret_id, environment, resource, code, cost, period, settled_at"
Place = tuple[datetime, str]

_PAGE = f"""
SELECT {COLUMNS} FROM usage_events
WHERE account_id = :account AND occurred_at >= :start AND occurred_at < :end{{where}}
ORDER BY occurred_at DESC, request_id DESC LIMIT :most
"""  # noqa: S608  # fixed names of our own
_PAGE_OF_QUARTERS = f"""
SELECT event.* FROM unnest(:quarters) AS quarter (begins) CROSS JOIN LATERAL (
    SELECT {COLUMNS} FROM usage_events
    WHERE account_id = :account AND occurred_at >= quarter.begins
        AND occurred_at < quarter.begins + interval '15 minutes'
        AND occurred_at >= :start AND occurred_at < :end{{where}}
    ORDER BY occurred_at DESC, request_id DESC LIMIT :most
) AS event ORDER BY occurred_at DESC, request_id DESC LIMIT :most
"""  # noqa: S608  # fixed names of our own
_QUARTERS = """
SELECT bucket_at FROM usage_quarters
WHERE account_id = :account AND bucket_at >= date_bin('15 minutes', :start, '2000-01-01 00:00:00+00')
    AND bucket_at < :end{where}
GROUP BY bucket_at ORDER BY bucket_at DESC LIMIT :most
"""
_COUNT = """
SELECT count(*) FROM usage_events
WHERE account_id = :account AND occurred_at >= :start AND occurred_at < :end{where}
"""
_FIND = f"""
SELECT {COLUMNS} FROM usage_events
WHERE account_id = :account AND occurred_at = :at AND request_id = :request_id
"""  # noqa: S608  # fixed names of our own


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Events of [start, end), the newest first, that follow `after`; `only` by column of the buckets."""

    start: datetime
    end: datetime
    only: Mapping[str, str]
    most: int
    after: Place | None = None


async def list_page(tx: Tx, account_id: str, query: EventQuery) -> Sequence[Row[Any]]:
    statement, values = page_statement(account_id, query)
    return (await tx.execute(statement, values)).all()


async def list_page_of(tx: Tx, account_id: str, query: EventQuery, quarters: Sequence[datetime]) -> Sequence[Row[Any]]:
    """As `list_page`, but of these quarter-hours alone."""
    statement, values = page_of_statement(account_id, query, quarters)
    return (await tx.execute(statement, values)).all()


async def list_quarters(tx: Tx, account_id: str, query: EventQuery) -> list[datetime]:
    """Quarter-hours that have such an event, or one whose resource was counted as `other`, the newest first."""
    statement, values = quarters_statement(account_id, query)
    return await tx.list(statement, values, returns=datetime)


async def count_events(tx: Tx, account_id: str, query: EventQuery) -> int:
    statement, values = count_statement(account_id, query)
    return await tx.get(statement, values, returns=int)


async def find_event(tx: Tx, account_id: str, at: datetime, request_id: str) -> Row[Any] | None:
    statement, values = find_statement(account_id, at, request_id)
    return (await tx.execute(statement, values)).one_or_none()


def count_statement(account_id: str, query: EventQuery) -> tuple[TextClause, dict[str, Any]]:
    return _ranged(_COUNT.format(where=_where(query.only)), query), {"account": account_id, **query.only}


def find_statement(account_id: str, at: datetime, request_id: str) -> tuple[TextClause, dict[str, Any]]:
    statement = text(_FIND).bindparams(bindparam("at", at, _INSTANT))
    return statement, {"account": account_id, "request_id": request_id}


def page_statement(account_id: str, query: EventQuery) -> tuple[TextClause, dict[str, Any]]:
    return _ranged(_PAGE.format(where=_where(query.only) + _following(query)), query), _values(account_id, query)


def page_of_statement(
    account_id: str, query: EventQuery, quarters: Sequence[datetime]
) -> tuple[TextClause, dict[str, Any]]:
    statement = _ranged(_PAGE_OF_QUARTERS.format(where=_where(query.only) + _following(query)), query)
    return statement.bindparams(bindparam("quarters", [*quarters], ARRAY(_INSTANT))), _values(account_id, query)


def quarters_statement(account_id: str, query: EventQuery) -> tuple[TextClause, dict[str, Any]]:
    where = "".join(
        f" AND ({name} = :{name} OR {name} = '{OTHER}')" if name == "resource" else f" AND {name} = :{name}"
        for name in query.only
    )
    values = {"account": account_id, "most": query.most, **query.only}
    return _ranged(_QUARTERS.format(where=where), query), values


def _where(only: Mapping[str, str]) -> str:
    """A raw event calls its outcome `code`."""
    return "".join(f" AND {'code' if name == 'outcome' else name} = :{name}" for name in only)


def _following(query: EventQuery) -> str:
    return " AND (occurred_at, request_id) < (:after_at, :after_id)" if query.after else ""


def _ranged(statement: str, query: EventQuery) -> TextClause:
    binds = [bindparam("start", query.start, _INSTANT), bindparam("end", query.end, _INSTANT)]
    if ":after_at" in statement and query.after:
        binds.append(bindparam("after_at", query.after[0], _INSTANT))
    return text(statement).bindparams(*binds)


def _values(account_id: str, query: EventQuery) -> dict[str, Any]:
    values: dict[str, Any] = {"account": account_id, "most": query.most, **query.only}
    return values | ({"after_id": query.after[1]} if query.after else {})
