"""What the raw events say: the oracle of buckets and series."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, bindparam, text

from portal.core.database import Database

_RAW = text("SELECT count(*), coalesce(sum(cost), 0) FROM usage_events WHERE account_id = :account")
_RANGE = text("""
SELECT count(*), coalesce(sum(cost), 0), count(*) FILTER (WHERE code = 'VALID'),
    coalesce(sum(cost) FILTER (WHERE code = 'VALID' AND environment = 'live'), 0)
FROM usage_events WHERE account_id = :account AND occurred_at >= :start AND occurred_at < :end
""").bindparams(bindparam("start", type_=DateTime(timezone=True)), bindparam("end", type_=DateTime(timezone=True)))
_DIFFERENT = """
WITH raw AS (
    SELECT date_bin('{size}', occurred_at, '2000-01-01 00:00:00+00') AS bucket_at, key_id, environment, resource,
        code AS outcome, count(*) AS calls, sum(cost)::bigint AS units
    FROM usage_events WHERE account_id = :account GROUP BY 1, 2, 3, 4, 5
), kept AS (
    SELECT bucket_at, key_id, environment, resource, outcome, calls, units FROM {table} WHERE account_id = :account
)
SELECT (SELECT count(*) FROM (TABLE raw EXCEPT TABLE kept) a) + (SELECT count(*) FROM (TABLE kept EXCEPT TABLE raw) b)
"""
BUCKETS = {"usage_minutes": "1 minute", "usage_quarters": "15 minutes", "usage_days": "1 day"}


async def raw_totals(database: Database, account_id: str) -> tuple[int, int]:
    """(calls, units)."""
    async with database.transaction() as tx:
        row: Any = (await tx.execute(_RAW, {"account": account_id})).one()
    calls, units = row
    return calls, units


async def raw_between(database: Database, account_id: str, start: datetime, end: datetime) -> tuple[int, ...]:
    """(calls, units, allowed, billable)."""
    async with database.transaction() as tx:
        row: Any = (await tx.execute(_RANGE, {"account": account_id, "start": start, "end": end})).one()
    return tuple(row)


async def buckets_off(database: Database, account_id: str) -> dict[str, int]:
    """Buckets that are not what the raw events add up to, by table."""
    async with database.transaction() as tx:
        return {
            table: await tx.get(text(_DIFFERENT.format(table=table, size=size)), {"account": account_id}, returns=int)
            for table, size in BUCKETS.items()
        }
