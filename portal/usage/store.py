"""Every statement of usage but DDL. Those that serve an account carry its id."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Row, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import col

from portal.core.database import Tx
from portal.usage.models import UsageEvent
from portal.usage.records import LIVE
from portal.usage.rules import Source

_COLUMNS = "account_id, occurred_at, request_id, key_id, secret_id, environment, resource, code, cost, period"
STAGED = tuple(_COLUMNS.split(", "))
_BUCKET_KEY = "account_id, bucket_at, key_id, environment, resource, outcome"
_INSTANT = DateTime(timezone=True)
_ORIGIN = "'2000-01-01 00:00:00+00'"

# Kept by the pooled connection and emptied with each commit: dropping it would rewrite the catalogue a thousand times.
_CREATE_STAGING = text("""
CREATE TEMPORARY TABLE IF NOT EXISTS usage_staging (
    account_id text, occurred_at timestamptz, request_id text, key_id text, secret_id text,
    environment text, resource text, code text, cost integer, period text
) ON COMMIT DELETE ROWS
""")


def _buckets(size: str, start: str, origin: str, calls: str, units: str) -> str:
    """Roll `origin` up to one size of bucket and add that to the table, in the order of its key."""
    return f"""
    by_{size} AS (
        SELECT account_id, {start} AS bucket_at, key_id, environment, resource, outcome,
            {calls}::bigint AS calls, {units}::bigint AS units
        FROM {origin} GROUP BY 1, 2, 3, 4, 5, 6
    ), add_{size} AS (
        INSERT INTO usage_{size} AS bucket ({_BUCKET_KEY}, calls, units)
        SELECT {_BUCKET_KEY}, calls, units FROM by_{size} ORDER BY {_BUCKET_KEY}
        ON CONFLICT ({_BUCKET_KEY})
        DO UPDATE SET calls = bucket.calls + excluded.calls, units = bucket.units + excluded.units
    )"""  # noqa: S608  # fixed names of our own


# Rows are inserted and upserted in the order of their keys, so that concurrent batches wait for one another in line.
# Billable totals start from every staged pair, so that a batch which was here before reports them too.
_INGEST = text(f"""
WITH inserted AS (
    INSERT INTO usage_events AS event ({_COLUMNS})
    SELECT {_COLUMNS} FROM usage_staging ORDER BY account_id, occurred_at, request_id
    ON CONFLICT DO NOTHING
    RETURNING account_id, occurred_at, request_id, key_id, secret_id, environment, resource, code AS outcome, cost
),{_buckets("minutes", f"date_bin('1 minute', occurred_at, {_ORIGIN})", "inserted", "count(*)", "sum(cost)")},
{_buckets("quarters", f"date_bin('15 minutes', bucket_at, {_ORIGIN})", "by_minutes", "sum(calls)", "sum(units)")},
{_buckets("days", f"date_bin('1 day', bucket_at, {_ORIGIN})", "by_quarters", "sum(calls)", "sum(units)")},
    add_secrets AS (
        INSERT INTO secret_uses AS known (account_id, secret_id, key_id, last_used_at)
        SELECT account_id, secret_id, max(key_id), max(occurred_at) FROM inserted GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (account_id, secret_id)
        DO UPDATE SET last_used_at = greatest(known.last_used_at, excluded.last_used_at)
    ), add_periods AS (
        INSERT INTO usage_periods AS known (account_id, period, used)
        SELECT staged.account_id, staged.period, coalesce(sum(inserted.cost), 0)
        FROM usage_staging staged LEFT JOIN inserted USING (account_id, occurred_at, request_id)
        WHERE staged.code = 'VALID' AND staged.environment = 'live'
        GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (account_id, period) DO UPDATE SET used = known.used + excluded.used
        RETURNING account_id, period, used
    )
SELECT account_id, period, used FROM add_periods UNION ALL SELECT '', '', count(*) FROM inserted
""")  # noqa: S608  # fixed names of our own

_COUNT_CONFLICTS = text("""
SELECT count(*) FROM usage_staging staged JOIN usage_events event USING (account_id, occurred_at, request_id)
WHERE event.occurred_at BETWEEN :first AND :last AND event.settled_at IS NULL
    AND (staged.key_id, staged.secret_id, staged.environment, staged.resource, staged.code, staged.cost)
    IS DISTINCT FROM (event.key_id, event.secret_id, event.environment, event.resource, event.code, event.cost)
""").bindparams(bindparam("first", type_=_INSTANT), bindparam("last", type_=_INSTANT))

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
_SETTLE_PERIOD = text("UPDATE usage_periods SET used = used + :added WHERE account_id = :account AND period = :period")
_WIDTHS = {"minutes": "1 minute", "quarters": "15 minutes", "days": "1 day"}

_USED = text("SELECT used FROM usage_periods WHERE account_id = :account AND period = :period")
_LAST_USED = text(
    "SELECT secret_id, last_used_at FROM secret_uses WHERE account_id = :account AND secret_id = ANY(:secrets)"
)
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


@dataclass(frozen=True, slots=True)
class PeriodUse:
    """Billable units that an account has ingested in one billing period so far."""

    account_id: str
    period: str
    used: int


async def stage_events(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    await tx.execute(_CREATE_STAGING)
    await tx.copy("usage_staging", STAGED, rows)


async def insert_staged(tx: Tx) -> tuple[int, list[PeriodUse]]:
    """Count what is staged and new, everywhere at once. Returns how many were new, and totals of all periods staged."""
    rows = (await tx.execute(_INGEST)).all()
    added = next(row.used for row in rows if not row.account_id)
    return added, [PeriodUse(row.account_id, row.period, row.used) for row in rows if row.account_id]


async def count_conflicts(tx: Tx, first: datetime, last: datetime) -> int:
    """Staged events, all between these instants, whose id is stored with another content."""
    count: int = await tx.find(_COUNT_CONFLICTS, {"first": first, "last": last})
    return count


async def lock_event(tx: Tx, at: datetime, request_id: str) -> UsageEvent | None:
    """Across accounts: only for the gateway that settles, which knows no account."""
    event: UsageEvent | None = await tx.find(_LOCK_EVENT, {"at": at, "request_id": request_id})
    return event


async def update_settled(tx: Tx, event: UsageEvent, cost: int) -> None:
    """Replace the cost of a locked event, everywhere it was counted."""
    added = cost - event.cost
    values = {"added": added, "account": event.account_id, "at": event.occurred_at, "key": event.key_id}
    values |= {"environment": event.environment, "resource": event.resource, "code": event.code}
    for size, width in _WIDTHS.items():
        statement = text(_SETTLE_BUCKET.format(size=size, width=width, origin=_ORIGIN))
        await tx.execute(statement.bindparams(bindparam("at", type_=_INSTANT)), values)
    if event.environment == LIVE:
        await tx.execute(_SETTLE_PERIOD, {"added": added, "account": event.account_id, "period": event.period})
    event.cost, event.settled_at = cost, tx.now
    await tx.flush()


async def used_in_period(tx: Tx, account_id: str, period: str) -> int:
    """Billable units ingested in the billing period YYYY-MM."""
    used: int | None = await tx.find(_USED, {"account": account_id, "period": period})
    return used or 0


async def last_used_by_secret(tx: Tx, account_id: str, secret_ids: Sequence[str]) -> dict[str, datetime]:
    """Secrets that were never used are absent."""
    rows = await tx.execute(_LAST_USED, {"account": account_id, "secrets": [*secret_ids]})
    return {row.secret_id: row.last_used_at for row in rows}


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
