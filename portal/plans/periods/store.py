"""Statements of billing periods."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Text, bindparam, text, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlmodel import col

from portal.core.columns import INSTANT
from portal.core.database import Tx
from portal.plans.calendar import AccountPeriod
from portal.plans.models import BillingPeriod

# The newest in any case: what is not stored yet follows from it.
_LIST = text("""
SELECT account_id, name, time_zone, starts_at, ends_at FROM billing_periods period
WHERE account_id = ANY(:accounts) AND (
    ends_at > coalesce(:since, '-infinity')
    OR name = (SELECT max(newest.name) FROM billing_periods newest WHERE newest.account_id = period.account_id)
)
ORDER BY account_id, name
""").bindparams(bindparam("since", type_=INSTANT), bindparam("accounts", type_=ARRAY(Text)))


async def list_periods(
    tx: Tx, account_ids: Collection[str], since: datetime | None
) -> dict[str, tuple[AccountPeriod, ...]]:
    """Return the stored periods of each account that has any: those that end after `since`, and the newest."""
    found: dict[str, list[AccountPeriod]] = {}
    for row in await tx.execute(_LIST, {"accounts": [*account_ids], "since": since}):
        period = AccountPeriod(row.name, row.time_zone, row.starts_at, row.ends_at)
        found.setdefault(row.account_id, []).append(period)
    return {account_id: tuple(periods) for account_id, periods in found.items()}


async def insert_periods(tx: Tx, periods: Mapping[str, Sequence[AccountPeriod]]) -> None:
    """Store periods by account; those that are stored already stay as they are."""
    rows = [{"account_id": account_id, **_columns(period)} for account_id, new in periods.items() for period in new]
    if rows:
        await tx.execute(insert(BillingPeriod).values(rows).on_conflict_do_nothing())


async def update_period(tx: Tx, account_id: str, period: AccountPeriod) -> None:
    """Change the zone and the end of a stored period, which has not begun."""
    chosen = col(BillingPeriod.account_id) == account_id, col(BillingPeriod.name) == period.name
    await tx.execute(update(BillingPeriod).where(*chosen).values(**_columns(period)))


def _columns(period: AccountPeriod) -> dict[str, object]:
    return {"name": period.name, "time_zone": period.time_zone, "starts_at": period.start, "ends_at": period.end}
