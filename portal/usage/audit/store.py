"""Statements that compare the ledgers of usage with one another. Each is about one account and one range of time."""

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
    SELECT date_bin('{width}', {time}, {origin}) AS at, key_id, environment, {outcome} AS outcome,
        {calls} AS calls, {units} AS units
    FROM {table} WHERE account_id = :account AND {time} >= :start AND {time} < :end
    GROUP BY 1, 2, 3, 4
"""
_COMPARE = """
WITH finer AS ({finer}), coarser AS ({coarser})
SELECT date_trunc('day', at, 'UTC') AS day, key_id, min(at) AS first,
    coalesce(sum(finer.calls), 0)::bigint AS finer_calls, coalesce(sum(coarser.calls), 0)::bigint AS coarser_calls,
    coalesce(sum(finer.units), 0)::bigint AS finer_units, coalesce(sum(coarser.units), 0)::bigint AS coarser_units
FROM finer FULL JOIN coarser USING (at, key_id, environment, outcome)
WHERE (finer.calls, finer.units) IS DISTINCT FROM (coarser.calls, coarser.units)
GROUP BY 1, 2 ORDER BY 1, 2 LIMIT :limit
"""
_PERIOD = text("""
SELECT coalesce((
    SELECT sum(cost) FROM usage_events
    WHERE account_id = :account AND occurred_at >= :start AND occurred_at < :end AND period = :period
        AND code = 'VALID' AND environment = 'live'
), 0)::bigint AS events,
coalesce((SELECT used FROM usage_periods WHERE account_id = :account AND period = :period), 0) AS counted
""").bindparams(bindparam("start", type_=INSTANT), bindparam("end", type_=INSTANT))
_EXTERNAL = text("""
SELECT date_trunc('day', known.occurred_at, 'UTC') AS day, count(*) AS known, min(known.occurred_at) AS first
FROM external_events known
WHERE known.account_id = :account AND known.occurred_at >= :start AND known.occurred_at < :end AND NOT EXISTS (
    SELECT 1 FROM usage_events event WHERE event.account_id = known.account_id
        AND event.occurred_at = known.occurred_at AND event.request_id = known.request_id
        AND event.occurred_at >= :start AND event.occurred_at < :end
)
GROUP BY 1 ORDER BY 1 LIMIT :limit
""").bindparams(bindparam("start", type_=INSTANT), bindparam("end", type_=INSTANT))
# From one account to the next along the key, so that the rows of an account are not read to learn its name.
_NEXT_ACCOUNTS = """
WITH RECURSIVE step AS (
    (SELECT account_id FROM {table} WHERE {where} ORDER BY account_id LIMIT 1)
    UNION ALL
    SELECT (SELECT account_id FROM {table} WHERE {where} AND account_id > step.account_id ORDER BY account_id LIMIT 1)
    FROM step WHERE step.account_id IS NOT NULL
)
SELECT account_id FROM step WHERE account_id IS NOT NULL
"""
_PERIOD_ACCOUNTS = text("SELECT account_id FROM usage_periods WHERE period = :period")


async def list_differences(
    tx: Tx, account_id: str, finer: Ledger, coarser: Ledger, start: datetime, end: datetime, limit: int
) -> Sequence[Row[Any]]:
    """Return by day and key where the coarser ledger is not what the finer one adds up to."""
    sides = {"finer": _side(finer, coarser.width), "coarser": _side(coarser, coarser.width)}
    values = {"account": account_id, "start": start, "end": end, "limit": limit}
    return (await tx.execute(_in_range(_COMPARE.format(**sides)), values)).all()


async def period_sums(tx: Tx, account_id: str, period: str, start: datetime, end: datetime) -> tuple[int, int]:
    """Return the billable units of the raw events of a range, and those that the billing period has."""
    values = {"account": account_id, "period": period, "start": start, "end": end}
    row = (await tx.execute(_PERIOD, values)).one()
    return row.events, row.counted


async def list_missing_external(
    tx: Tx, account_id: str, start: datetime, end: datetime, limit: int
) -> Sequence[Row[Any]]:
    """Return by day the external events that are known as counted and have no raw event."""
    values = {"account": account_id, "start": start, "end": end, "limit": limit}
    return (await tx.execute(_EXTERNAL, values)).all()


async def list_accounts_with_usage(tx: Tx, period: str, start: datetime, end: datetime) -> list[str]:
    """Return the accounts, of all, that have usage of the range in any ledger."""
    accounts = set(await tx.list(_PERIOD_ACCOUNTS, {"period": period}, returns=str))
    for ledger in (RAW, MINUTES, QUARTERS, DAYS):
        where = f"{ledger.time} >= :start AND {ledger.time} < :end"
        statement = _in_range(_NEXT_ACCOUNTS.format(table=ledger.table, where=where))
        accounts |= set(await tx.list(statement, {"start": start, "end": end}, returns=str))
    return sorted(accounts)


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
