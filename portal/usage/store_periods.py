"""Statements of billing periods: what was used in one, and closing it, after which whatever comes is late."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import DateTime, text

from portal.core.database import Tx

_USED = text("SELECT used FROM usage_periods WHERE account_id = :account AND period = :period")
_CLOSE = text("""
INSERT INTO usage_periods AS known (account_id, period, used, closed_at)
VALUES (:account, :period, 0, clock_timestamp())
ON CONFLICT (account_id, period) DO UPDATE SET closed_at = excluded.closed_at WHERE known.closed_at IS NULL
RETURNING used
""")
_CLOSED = """
SELECT period, used, late, closed_at, late_at FROM usage_periods
WHERE account_id = :account AND closed_at IS NOT NULL ORDER BY period
"""
_COLUMNS = {"closed_at": DateTime(timezone=True), "late_at": DateTime(timezone=True)}


class ClosedPeriod(NamedTuple):
    """`used` is all of it, of which `late` came after `closed_at`, the last of that at `late_at`."""

    period: str
    used: int
    late: int
    closed_at: datetime
    late_at: datetime | None


async def used_in_period(tx: Tx, account_id: str, period: str) -> int:
    """Billable units ingested in the billing period YYYY-MM."""
    used: int | None = await tx.find(_USED, {"account": account_id, "period": period})
    return used or 0


async def close_period(tx: Tx, account_id: str, period: str) -> int | None:
    """From the commit on what comes for it is late. Returns the units that it has now; None: it was closed before."""
    used: int | None = await tx.find(_CLOSE, {"account": account_id, "period": period})
    return used


async def list_closed_periods(tx: Tx, account_id: str) -> Sequence[ClosedPeriod]:
    """The oldest first; a month each, so few."""
    return await _closed(tx, account_id, _CLOSED)


async def lock_closed_periods(tx: Tx, account_id: str) -> Sequence[ClosedPeriod]:
    """The same; what comes late meanwhile waits for the caller's commit."""
    return await _closed(tx, account_id, f"{_CLOSED} FOR UPDATE")


async def _closed(tx: Tx, account_id: str, statement: str) -> Sequence[ClosedPeriod]:
    rows = await tx.execute(text(statement).columns(**_COLUMNS), {"account": account_id})
    return [ClosedPeriod(row.period, row.used, row.late, row.closed_at, row.late_at) for row in rows]
