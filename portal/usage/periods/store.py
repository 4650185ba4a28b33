"""Statements of billing periods: what was used in one, closing it, and how much of it is billed."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import DateTime, bindparam, text

from portal.core.database import Tx
from portal.core.environments import LIVE
from portal.usage.records import VALID

_INSTANT = DateTime(timezone=True)
_USED = text("SELECT used FROM usage_periods WHERE account_id = :account AND period = :period")
_BETWEEN = text("""
SELECT coalesce(sum(units), 0)::bigint FROM usage_quarters
WHERE account_id = :account AND bucket_at >= :start AND bucket_at < :end AND outcome = :valid AND environment = :live
""").bindparams(bindparam("start", type_=_INSTANT), bindparam("end", type_=_INSTANT))
_CLOSE = text("""
INSERT INTO usage_periods AS known (account_id, period, used, closed_at)
VALUES (:account, :period, 0, clock_timestamp())
ON CONFLICT (account_id, period) DO UPDATE SET closed_at = excluded.closed_at, billed = known.used
    WHERE known.closed_at IS NULL
RETURNING used
""")
_CLOSED = "SELECT period, used, billed FROM usage_periods WHERE account_id = :account AND closed_at IS NOT NULL"
_BILL = text("""
UPDATE usage_periods SET billed = used WHERE account_id = :account AND closed_at IS NOT NULL AND billed <> used
""")


class ClosedPeriod(NamedTuple):
    """Of the `used` units `billed` are on invoices; the rest came after the account's newest one."""

    period: str
    used: int
    billed: int


async def used_in_period(tx: Tx, account_id: str, period: str) -> int:
    """Billable units ingested in the billing period YYYY-MM."""
    return await tx.find(_USED, {"account": account_id, "period": period}, returns=int) or 0


async def billable_units(tx: Tx, account_id: str, start: datetime, end: datetime) -> int:
    """The same from one instant to another, whole quarter-hours both."""
    values = {"account": account_id, "start": start, "end": end, "valid": VALID, "live": LIVE}
    return await tx.get(_BETWEEN, values, returns=int)


async def close_period(tx: Tx, account_id: str, period: str) -> int | None:
    """All that it has is billed by the caller, whose commit what comes meanwhile waits for. None: it was closed before.

    Returns the units that it has.
    """
    return await tx.find(_CLOSE, {"account": account_id, "period": period}, returns=int)


async def list_closed_periods(tx: Tx, account_id: str) -> Sequence[ClosedPeriod]:
    """The oldest first; a month each, so few."""
    return await _closed(tx, account_id, f"{_CLOSED} ORDER BY period")


async def bill_late_usage(tx: Tx, account_id: str) -> Sequence[ClosedPeriod]:
    """The closed periods as they were: what is not billed of them the caller bills. What comes meanwhile waits."""
    found = await _closed(tx, account_id, f"{_CLOSED} ORDER BY period FOR UPDATE")
    await tx.execute(_BILL, {"account": account_id})
    return found


async def _closed(tx: Tx, account_id: str, statement: str) -> Sequence[ClosedPeriod]:
    rows = await tx.execute(text(statement), {"account": account_id})
    return [ClosedPeriod(row.period, row.used, row.billed) for row in rows]
