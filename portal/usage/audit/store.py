"""Statements that compare the ledgers of usage with one another. Each is about some accounts and one range of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, TextClause, bindparam, text

from portal.core.columns import INSTANT
from portal.core.database import Tx
from portal.usage.rules import BUCKET_ORIGIN


@dataclass(frozen=True, slots=True)
class Ledger:
    """A table that adds usage up: what its time, outcome, calls and units are called, and how long its bucket is."""

    table: str
    name: str
    time: str
    outcome: str
    calls: str
    units: str
    width: str


RAW = Ledger("usage_events", "events", "occurred_at", "code", "count(*)", "sum(cost)", "")
MINUTES = Ledger("usage_minutes", "minutes", "bucket_at", "outcome", "sum(calls)", "sum(units)", "1 minute")
QUARTERS = Ledger("usage_quarters", "quarter-hours", "bucket_at", "outcome", "sum(calls)", "sum(units)", "15 minutes")
DAYS = Ledger("usage_days", "days", "bucket_at", "outcome", "sum(calls)", "sum(units)", "1 day")

# Resources are left out: beyond a number of them a day's buckets say `other` where the events have their names.
_SIDE = """
    SELECT account_id, date_bin('{width}', {time}, {origin}) AS at, key_id, environment, {outcome} AS outcome,
        {calls} AS calls, {units} AS units
    FROM {table} WHERE account_id = ANY(:accounts) AND {time} >= :start AND {time} < :end
    GROUP BY 1, 2, 3, 4, 5
"""
# Added up together and not joined: one pass over both, whatever PostgreSQL believes of their sizes. A sum over nothing
# is null, so a bucket of nothing differs from no bucket.
_COMPARE = """
WITH both_sides AS (
    SELECT finer.*, NULL::numeric AS coarser_calls, NULL::numeric AS coarser_units FROM ({finer}) finer
    UNION ALL
    SELECT account_id, at, key_id, environment, outcome, NULL, NULL, calls, units FROM ({coarser}) coarser
), buckets AS (
    SELECT account_id, at, key_id, environment, outcome, sum(calls) AS finer_calls, sum(units) AS finer_units,
        sum(coarser_calls) AS coarser_calls, sum(coarser_units) AS coarser_units
    FROM both_sides GROUP BY 1, 2, 3, 4, 5
    HAVING (sum(calls), sum(units)) IS DISTINCT FROM (sum(coarser_calls), sum(coarser_units))
), days AS (
    SELECT account_id, date_trunc('day', at, 'UTC') AS day, key_id, min(at) AS first,
        coalesce(sum(finer_calls), 0)::bigint AS finer_calls, coalesce(sum(coarser_calls), 0)::bigint AS coarser_calls,
        coalesce(sum(finer_units), 0)::bigint AS finer_units, coalesce(sum(coarser_units), 0)::bigint AS coarser_units,
        row_number() OVER (PARTITION BY account_id ORDER BY date_trunc('day', at, 'UTC'), key_id) AS place
    FROM buckets GROUP BY 1, 2, 3
)
SELECT * FROM days WHERE place <= :limit ORDER BY account_id, day, key_id
"""
_PERIODS = text("""
WITH events AS (
    SELECT account_id, sum(cost)::bigint AS units FROM usage_events
    WHERE account_id = ANY(:accounts) AND occurred_at >= :start AND occurred_at < :end AND period = :period
        AND code = 'VALID' AND environment = 'live'
    GROUP BY 1
), periods AS (SELECT account_id, used FROM usage_periods WHERE account_id = ANY(:accounts) AND period = :period)
SELECT account_id, coalesce(events.units, 0) AS events, coalesce(periods.used, 0) AS counted
FROM events FULL JOIN periods USING (account_id)
WHERE coalesce(events.units, 0) <> coalesce(periods.used, 0) ORDER BY account_id
""").bindparams(bindparam("start", type_=INSTANT), bindparam("end", type_=INSTANT))
_EXTERNAL = text("""
WITH days AS (
    SELECT known.account_id, date_trunc('day', known.occurred_at, 'UTC') AS day, count(*) AS known,
        min(known.occurred_at) AS first, row_number() OVER (
            PARTITION BY known.account_id ORDER BY date_trunc('day', known.occurred_at, 'UTC')
        ) AS place
    FROM external_events known
    WHERE known.account_id = ANY(:accounts) AND known.occurred_at >= :start AND known.occurred_at < :end
    AND NOT EXISTS (
        SELECT 1 FROM usage_events event WHERE event.account_id = known.account_id
            AND event.occurred_at = known.occurred_at AND event.request_id = known.request_id
            AND event.occurred_at >= :start AND event.occurred_at < :end
    )
    GROUP BY 1, 2
)
SELECT * FROM days WHERE place <= :limit ORDER BY account_id, day
""").bindparams(bindparam("start", type_=INSTANT), bindparam("end", type_=INSTANT))
# From one account to the next along the key, so that the rows of an account are not read to learn its name.
_NEXT_ACCOUNTS = """
WITH RECURSIVE step AS (
    (SELECT account_id FROM {table} WHERE account_id > :after AND {where} ORDER BY account_id LIMIT 1)
    UNION ALL
    SELECT (SELECT account_id FROM {table} WHERE {where} AND account_id > step.account_id ORDER BY account_id LIMIT 1)
    FROM step WHERE step.account_id IS NOT NULL
)
SELECT account_id FROM step WHERE account_id IS NOT NULL LIMIT :most
"""
_PERIOD_ACCOUNTS = text("""
SELECT account_id FROM usage_periods WHERE account_id > :after AND period = :period ORDER BY account_id LIMIT :most
""")


async def list_differences(
    tx: Tx, account_ids: Sequence[str], finer: Ledger, coarser: Ledger, start: datetime, end: datetime, limit: int
) -> Sequence[Row[Any]]:
    """Return by account, day and key where the coarser ledger is not what the finer one adds up to."""
    sides = {"finer": _side(finer, coarser.width), "coarser": _side(coarser, coarser.width)}
    values = {"accounts": [*account_ids], "start": start, "end": end, "limit": limit}
    return (await tx.execute(_in_range(_COMPARE.format(**sides)), values)).all()


async def list_period_differences(
    tx: Tx, account_ids: Sequence[str], period: str, start: datetime, end: datetime
) -> Sequence[Row[Any]]:
    """Return by account where the billing period is not the billable units of the raw events of a range."""
    values = {"accounts": [*account_ids], "period": period, "start": start, "end": end}
    return (await tx.execute(_PERIODS, values)).all()


async def list_missing_external(
    tx: Tx, account_ids: Sequence[str], start: datetime, end: datetime, limit: int
) -> Sequence[Row[Any]]:
    """Return by account and day the external events that are known as counted and have no raw event."""
    values = {"accounts": [*account_ids], "start": start, "end": end, "limit": limit}
    return (await tx.execute(_EXTERNAL, values)).all()


async def list_accounts_with_usage(
    tx: Tx, period: str, start: datetime, end: datetime, *, after: str, most: int
) -> list[str]:
    """Return the next `most` accounts by id, of all after one, that have usage of the range in any ledger."""
    page = {"after": after, "most": most}
    accounts = set(await tx.list(_PERIOD_ACCOUNTS, {"period": period, **page}, returns=str))
    for ledger in (RAW, MINUTES, QUARTERS, DAYS):
        where = f"{ledger.time} >= :start AND {ledger.time} < :end"
        statement = _in_range(_NEXT_ACCOUNTS.format(table=ledger.table, where=where))
        accounts |= set(await tx.list(statement, {"start": start, "end": end, **page}, returns=str))
    return sorted(accounts)[:most]


def _side(ledger: Ledger, width: str) -> str:
    return _SIDE.format(
        width=width,
        origin=BUCKET_ORIGIN,
        table=ledger.table,
        time=ledger.time,
        outcome=ledger.outcome,
        calls=ledger.calls,
        units=ledger.units,
    )


def _in_range(statement: str) -> TextClause:
    return text(statement).bindparams(bindparam("start", type_=INSTANT), bindparam("end", type_=INSTANT))
