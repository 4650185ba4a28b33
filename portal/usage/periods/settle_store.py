"""Every statement that counts usage. What reads its history is in history.py, DDL in partitions.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import DateTime, Text, bindparam, select, text
from sqlmodel import col

from portal.core.database import Tx
from portal.core.environments import LIVE
from portal.usage.models import UsageEvent
from portal.usage.records import OTHER

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
# In the order in which ingest's one statement writes them: PostgreSQL runs its last part first. Usage of test keys has
# no period at which the two would wait for each other before.
_WIDTHS = {"days": "1 day", "quarters": "15 minutes", "minutes": "1 minute"}

_USED = text("SELECT used FROM usage_periods WHERE account_id = :account AND period = :period")
_LAST_USED = text("""
SELECT secret_id, last_used_at, last_used_address FROM secret_uses
WHERE account_id = :account AND secret_id = ANY(:secrets)
""")


async def lock_event(tx: Tx, at: datetime, request_id: str) -> UsageEvent | None:
    """Across accounts: only for the gateway that settles, which knows no account."""
    return await tx.find(_LOCK_EVENT, {"at": at, "request_id": request_id})


async def update_settled(tx: Tx, event: UsageEvent, cost: int) -> int:
    """Replace the cost of a locked event, everywhere it was counted.

    Returns what all settlements of its period have added so far; 0 for what is not billable.
    """
    settled = 0
    added = cost - event.cost
    values = {"added": added, "account": event.account_id, "at": event.occurred_at, "key": event.key_id}
    values |= {"environment": event.environment, "code": event.code}
    named = {"account": event.account_id, "day": event.occurred_at.date(), "resource": event.resource, "other": OTHER}
    values["resource"] = await tx.find(_BUCKET_RESOURCE, named, returns=str) or event.resource
    # The period first, as ingest does: where both change the same rows, they wait for each other there.
    if event.environment == LIVE:
        period = {"added": added, "account": event.account_id, "period": event.period}
        settled = await tx.find(_SETTLE_PERIOD, period, returns=int) or 0
    for size, width in _WIDTHS.items():
        statement = text(_SETTLE_BUCKET.format(size=size, width=width, origin=_ORIGIN))
        await tx.execute(statement.bindparams(bindparam("at", type_=_INSTANT)), values)
    event.cost, event.settled_at = cost, tx.now
    await tx.flush()
    return settled


async def used_in_period(tx: Tx, account_id: str, period: str) -> int:
    """Billable units ingested in the billing period YYYY-MM."""
    return await tx.find(_USED, {"account": account_id, "period": period}, returns=int) or 0


@dataclass(frozen=True, slots=True)
class LastUse:
    """`address` is the newest that a check told; None: none did."""

    at: datetime
    address: str | None


async def last_used_by_secret(tx: Tx, account_id: str, secret_ids: Sequence[str]) -> dict[str, LastUse]:
    """Secrets that were never used are absent."""
    rows = await tx.execute(_LAST_USED, {"account": account_id, "secrets": [*secret_ids]})
    return {row.secret_id: LastUse(row.last_used_at, row.last_used_address or None) for row in rows}
