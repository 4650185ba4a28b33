"""Forget which resources had buckets of their own on days whose raw events are gone: no event of such a day comes."""

from datetime import datetime

from sqlalchemy import Date, bindparam, text

from portal.core.database import Database, Tx
from portal.usage.retention.batches import delete_in_batches
from portal.usage.retention.retention import EVENTS, Retention, oldest_not_dropped

PURGE_BATCH_SIZE = 10_000
_DELETE = text("""
DELETE FROM usage_resources WHERE ctid IN (
    SELECT ctid FROM usage_resources WHERE day < :before LIMIT :most FOR UPDATE SKIP LOCKED
)
""").bindparams(bindparam("before", type_=Date))


async def prune_resource_names(database: Database, retention: Retention, now: datetime) -> int:
    """Returns how many days of accounts."""
    before = oldest_not_dropped(now, retention.by_table()[EVENTS]).date()

    async def forget(tx: Tx) -> int:
        result = await tx.execute(_DELETE, {"before": before, "most": PURGE_BATCH_SIZE})
        return result.rowcount  # type: ignore[attr-defined,no-any-return]  # a DELETE has one

    return await delete_in_batches(database, PURGE_BATCH_SIZE, forget)
