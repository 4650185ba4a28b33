"""Every statement of usage but DDL and those of ingest. Those that serve an account carry its id."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Row, Text, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import col

from portal.core.database import Tx
from portal.usage.models import UsageEvent
from portal.usage.records import LIVE
from portal.usage.rules import Source

_INSTANT = DateTime(timezone=True)
_ORIGIN = "'2000-01-01 00:00:00+00'"

_LOCK_EVENT = (
    select(UsageEvent)
    .where(col(UsageEvent.occurred_at) == bindparam("at"), col(UsageEvent.request_id) == bindparam("request_id"))
    .with_for_update()
)
_SETTLE_BUCKET = """
UPDATE usage_{size} SET units = units + :added
WHERE account_id = :account AND bucket_at = date_bin('{width}', :at, {origin})
    AND key_id = :key AND environment = :environment AND resource = :resource AND outcome = :code
"""
_SETTLE_PERIOD = text("""
UPDATE usage_periods SET used = used + :added, settled = settled + :added
WHERE account_id = :account AND period = :period RETURNING settled
""")
# A day that nobody knows names of was counted before there were any: every resource had its own bucket.
_BUCKET_RESOURCE = text("""
SELECT CASE WHEN :resource = ANY(names) THEN :resource ELSE :other END FROM usage_resources
WHERE account_id = :account AND day = :day
""").bindparams(bindparam("resource", type_=Text))
_WIDTHS = {"minutes": "1 minute", "quarters": "15 minutes", "days": "1 day"}

_USED = text("SELECT used FROM usage_periods WHERE account_id = :account AND period = :period")
_LAST_USED = text("""
SELECT secret_id, last_used_at, last_used_address FROM secret_uses
WHERE account_id = :account AND secret_id = ANY(:secrets)
""")
_NEWEST = text("SELECT max(occurred_at) FROM usage_events WHERE account_id = :account")

OTHER = "other"
_CELLS = """
WITH buckets AS ({buckets}), cells AS (
    SELECT width_bucket(bucket_at, :starts) AS step, part, sum(calls) AS calls, sum(units) AS units,
        sum(calls) FILTER (WHERE outcome = 'VALID') AS allowed,
        sum(units) FILTER (WHERE outcome = 'VALID' AND environment = 'live') AS billable
    FROM buckets GROUP BY 1, 2
), top AS (
    SELECT part FROM cells GROUP BY part ORDER BY sum(calls) DESC, part LIMIT :most
)
SELECT step, CASE WHEN part IN (SELECT part FROM top) THEN part ELSE :other END AS part,
    sum(calls)::bigint AS calls, sum(units)::bigint AS units,
    coalesce(sum(allowed), 0)::bigint AS allowed, coalesce(sum(billable), 0)::bigint AS billable
FROM cells GROUP BY 1, 2
"""


async def lock_event(tx: Tx, at: datetime, request_id: str) -> UsageEvent | None:
    """Across accounts: only for the gateway that settles, which knows no account."""
    event: UsageEvent | None = await tx.find(_LOCK_EVENT, {"at": at, "request_id": request_id})
    return event


async def update_settled(tx: Tx, event: UsageEvent, cost: int) -> int:
    """Replace the cost of a locked event, everywhere it was counted.

    Returns what all settlements of its period have added so far; 0 for what is not billable.
    """
    settled = 0
    added = cost - event.cost
    values = {"added": added, "account": event.account_id, "at": event.occurred_at, "key": event.key_id}
    values |= {"environment": event.environment, "code": event.code}
    named = {"account": event.account_id, "day": event.occurred_at.date(), "resource": event.resource, "other": OTHER}
    values["resource"] = await tx.find(_BUCKET_RESOURCE, named) or event.resource
    for size, width in _WIDTHS.items():
        statement = text(_SETTLE_BUCKET.format(size=size, width=width, origin=_ORIGIN))
        await tx.execute(statement.bindparams(bindparam("at", type_=_INSTANT)), values)
    if event.environment == LIVE:
        settled = await tx.find(_SETTLE_PERIOD, {"added": added, "account": event.account_id, "period": event.period})
    event.cost, event.settled_at = cost, tx.now
    await tx.flush()
    return settled


async def used_in_period(tx: Tx, account_id: str, period: str) -> int:
    """Billable units ingested in the billing period YYYY-MM."""
    used: int | None = await tx.find(_USED, {"account": account_id, "period": period})
    return used or 0


@dataclass(frozen=True, slots=True)
class LastUse:
    """`address` is the newest that a check told; None: none did."""

    at: datetime
    address: str | None


async def last_used_by_secret(tx: Tx, account_id: str, secret_ids: Sequence[str]) -> dict[str, LastUse]:
    """Secrets that were never used are absent."""
    rows = await tx.execute(_LAST_USED, {"account": account_id, "secrets": [*secret_ids]})
    return {row.secret_id: LastUse(row.last_used_at, row.last_used_address or None) for row in rows}


async def find_newest(tx: Tx, account_id: str) -> datetime | None:
    """When the newest event that is ingested happened."""
    newest: datetime | None = await tx.find(_NEWEST, {"account": account_id})
    return newest


@dataclass(frozen=True, slots=True)
class CellQuery:
    """`part` is the column to group by, or None; `only` holds columns with the value each must have."""

    sources: Sequence[Source]
    starts: Sequence[datetime]
    part: str | None
    only: dict[str, str]
    parts_most: int


async def list_cells(tx: Tx, account_id: str, query: CellQuery) -> Sequence[Row[Any]]:
    """Sums by step (counted from 1) and part; parts beyond the largest `parts_most` come as `other`."""
    where = "".join(f" AND {column} = :{column}" for column in query.only)
    parts = [
        f"SELECT bucket_at, {query.part or repr('')} AS part, environment, outcome, calls, units FROM {source.table}"  # noqa: S608  # fixed names of our own
        f" WHERE account_id = :account AND bucket_at >= :start_{n} AND bucket_at < :end_{n}{where}"
        for n, source in enumerate(query.sources)
    ]
    statement = text(_CELLS.format(buckets=" UNION ALL ".join(parts))).bindparams(
        bindparam("starts", [*query.starts], ARRAY(_INSTANT)),
        *(bindparam(f"start_{n}", source.start, _INSTANT) for n, source in enumerate(query.sources)),
        *(bindparam(f"end_{n}", source.end, _INSTANT) for n, source in enumerate(query.sources)),
    )
    known = {"account": account_id, "most": query.parts_most, "other": OTHER, **query.only}
    return (await tx.execute(statement, known)).all()
