"""Statements that read the rows of an export, in the order of time, within the months of the range."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from sqlalchemy import TextClause, bindparam, text

from portal.core.columns import INSTANT
from portal.core.database import Tx
from portal.usage.export.query import ExportQuery
from portal.usage.rules import check_range

_SELECT = """
SELECT {columns} FROM usage_{rows}
WHERE account_id = :account AND {time} >= :start AND {time} < :end{where}
ORDER BY {order}
"""
_COUNT = "SELECT count(*) FROM usage_{rows} WHERE account_id = :account AND {time} >= :start AND {time} < :end{where}"


async def count_rows(tx: Tx, account_id: str, query: ExportQuery) -> int:
    """Count the rows of an export. Raises Invalid for a range that is none."""
    statement, values = count_statement(account_id, query)
    return await tx.get(statement, values, returns=int)


def stream_rows(
    tx: Tx, account_id: str, query: ExportQuery, rows_at_once: int
) -> AsyncGenerator[Sequence[Sequence[Any]]]:
    """Read the rows by a server-side cursor, `rows_at_once` at a time. Raises Invalid for a range that is none."""
    statement, values = export_statement(account_id, query)
    return tx.stream(statement, values, rows=rows_at_once)


def export_statement(account_id: str, query: ExportQuery) -> tuple[TextClause, dict[str, Any]]:
    return _statement(_SELECT, account_id, query)


def count_statement(account_id: str, query: ExportQuery) -> tuple[TextClause, dict[str, Any]]:
    return _statement(_COUNT, account_id, query)


def _statement(pattern: str, account_id: str, query: ExportQuery) -> tuple[TextClause, dict[str, Any]]:
    start, end = check_range(query.start, query.end)
    filters = query.filter.columns()
    outcome = "code" if query.is_raw else "outcome"
    names = {
        "rows": query.rows.value,
        "time": "occurred_at" if query.is_raw else "bucket_at",
        "columns": ", ".join(query.shape.columns).replace("outcome", "code AS outcome" if query.is_raw else "outcome"),
        "order": "occurred_at, request_id" if query.is_raw else "bucket_at, key_id, environment, resource, outcome",
        "where": "".join(f" AND {outcome if name == 'outcome' else name} = :{name}" for name in filters),
    }
    statement = text(pattern.format(**names))
    binds = bindparam("start", start, INSTANT), bindparam("end", end, INSTANT)
    return statement.bindparams(*binds), {"account": account_id, **filters}
