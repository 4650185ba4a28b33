"""Statements of billing periods: units used, settling the cost of one event, closing a period, what of it is billed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Text, TextClause, bindparam, select, text
from sqlmodel import col

from portal.core.columns import INSTANT
from portal.core.database import Tx
from portal.core.environments import LIVE
from portal.usage.models import UsageEvent
from portal.usage.records import OTHER, VALID
from portal.usage.rules import BUCKET_ORIGIN

_USED = text("SELECT used FROM usage_periods WHERE account_id = :account AND period = :period")
_BILLABLE = text("""
SELECT coalesce(sum(units), 0)::bigint FROM usage_quarters
WHERE account_id = :account AND bucket_at >= :start AND bucket_at < :end AND outcome = :valid AND environment = :live
""").bindparams(bindparam("start", type_=INSTANT), bindparam("end", type_=INSTANT))
_CLOSE = text("""
INSERT INTO usage_periods AS known (account_id, period, used, closed_at)
VALUES (:account, :period, 0, clock_timestamp())
ON CONFLICT (account_id, period) DO UPDATE SET closed_at = excluded.closed_at, billed = known.used
    WHERE known.closed_at IS NULL
RETURNING used
""")
_LIST_CLOSED = """
SELECT period, used, billed FROM usage_periods WHERE account_id = :account AND closed_at IS NOT NULL ORDER BY period
"""
_LOCK_CLOSED = text(f"{_LIST_CLOSED} FOR UPDATE")
_CLOSED_IN = text("""
SELECT account_id, period, used, billed FROM usage_periods
WHERE account_id = ANY(:accounts) AND period = :period AND closed_at IS NOT NULL
""")
_BILL = text("""
UPDATE usage_periods SET billed = used WHERE account_id = :account AND closed_at IS NOT NULL AND billed <> used
""")

_LOCK_EVENT = (
    select(UsageEvent)
    .where(col(UsageEvent.occurred_at) == bindparam("at"), col(UsageEvent.request_id) == bindparam("request_id"))
    .with_for_update()
)
_SETTLE_PERIOD = text("""
UPDATE usage_periods SET used = used + :added, settled = settled + :added
WHERE account_id = :account AND period = :period RETURNING settled
""")
# A day without any names was counted before there were names: every resource had its own bucket.
_BUCKET_RESOURCE = text("""
SELECT CASE WHEN :resource = ANY(names) THEN :resource ELSE :other END FROM usage_resources
WHERE account_id = :account AND day = :day
""").bindparams(bindparam("resource", type_=Text))
# In the order in which ingest's one statement writes them: PostgreSQL runs its last part first. Usage of test keys has
# no period at which the two would wait for each other before.
_WIDTHS = {"days": "1 day", "quarters": "15 minutes", "minutes": "1 minute"}
_SETTLE_BUCKETS = [
    text(f"""
UPDATE usage_{size} SET units = units + :added
WHERE account_id = :account AND bucket_at = date_bin('{width}', :at, {BUCKET_ORIGIN})
    AND key_id = :key AND environment = :environment AND resource = :resource AND outcome = :code
""").bindparams(bindparam("at", type_=INSTANT))  # noqa: S608  # fixed names of our own
    for size, width in _WIDTHS.items()
]


@dataclass(frozen=True, slots=True)
class ClosedPeriod:
    """A period that was billed. `billed` of its `used` units are on invoices; the rest came in later."""

    period: str
    used: int
    billed: int


async def used_in_period(tx: Tx, account_id: str, period: str) -> int:
    """Return the billable units ingested in the billing period YYYY-MM."""
    return await tx.find(_USED, {"account": account_id, "period": period}, returns=int) or 0


async def billable_units(tx: Tx, account_id: str, start: datetime, end: datetime) -> int:
    """Return the billable units ingested from one instant to another, both at a quarter-hour."""
    values = {"account": account_id, "start": start, "end": end, "valid": VALID, "live": LIVE}
    return await tx.get(_BILLABLE, values, returns=int)


async def close_period(tx: Tx, account_id: str, period: str) -> int | None:
    """Mark a period as closed with all its units billed, and return them; None when it was closed before.

    The caller bills the units in the same transaction. Usage that arrives meanwhile waits for its commit.
    """
    return await tx.find(_CLOSE, {"account": account_id, "period": period}, returns=int)


async def list_closed_periods(tx: Tx, account_id: str) -> Sequence[ClosedPeriod]:
    """Return the closed periods of an account, the oldest first; there is one a month, so there are few."""
    return await _closed_periods(tx, account_id, text(_LIST_CLOSED))


async def list_closed_in(tx: Tx, account_ids: Sequence[str], period: str) -> dict[str, ClosedPeriod]:
    """Return a period of those accounts, of these, that have closed it."""
    rows = await tx.execute(_CLOSED_IN, {"accounts": [*account_ids], "period": period})
    return {row.account_id: ClosedPeriod(row.period, row.used, row.billed) for row in rows}


async def mark_late_usage_billed(tx: Tx, account_id: str) -> Sequence[ClosedPeriod]:
    """Mark all units of closed periods as billed, and return the periods as they were before.

    The caller bills the difference in the same transaction. Usage that arrives meanwhile waits for its commit.
    """
    periods = await _closed_periods(tx, account_id, _LOCK_CLOSED)
    await tx.execute(_BILL, {"account": account_id})
    return periods


async def lock_event(tx: Tx, at: datetime, request_id: str) -> UsageEvent | None:
    """Lock the event with this id, of whichever account: only for the gateway that settles, which knows no account.

    None as well where two accounts have it, as metered events of one source, id and time had in older versions.
    """
    events = await tx.list(_LOCK_EVENT, {"at": at, "request_id": request_id})
    return events[0] if len(events) == 1 else None


async def update_cost(tx: Tx, event: UsageEvent, cost: int) -> int:
    """Replace the cost of a locked event, everywhere it was counted.

    Returns what all settlements of its period have added so far; 0 for an event that is not billable.
    """
    settled = 0
    added = cost - event.cost
    resource = {
        "account": event.account_id,
        "day": event.occurred_at.date(),
        "resource": event.resource,
        "other": OTHER,
    }
    bucket = {
        "added": added,
        "account": event.account_id,
        "at": event.occurred_at,
        "key": event.key_id,
        "environment": event.environment,
        "resource": await tx.find(_BUCKET_RESOURCE, resource, returns=str) or event.resource,
        "code": event.code,
    }
    # The period first, as ingest does: where both change the same rows, they wait for each other there.
    if event.environment == LIVE:
        period = {"added": added, "account": event.account_id, "period": event.period}
        settled = await tx.find(_SETTLE_PERIOD, period, returns=int) or 0
    for statement in _SETTLE_BUCKETS:
        await tx.execute(statement, bucket)
    event.cost, event.settled_at = cost, tx.now
    await tx.flush()
    return settled


async def _closed_periods(tx: Tx, account_id: str, statement: TextClause) -> Sequence[ClosedPeriod]:
    rows = await tx.execute(statement, {"account": account_id})
    return [ClosedPeriod(row.period, row.used, row.billed) for row in rows]
