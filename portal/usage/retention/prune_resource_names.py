"""Prune the names of resources with buckets of their own, of days whose raw events are gone: no event of them comes."""

from datetime import datetime

from portal.core.database import Database
from portal.usage.retention import store
from portal.usage.retention.batches import delete_in_batches
from portal.usage.retention.retention_policy import RAW_TABLE, Retention, oldest_not_dropped

PURGE_BATCH_SIZE = 10_000


async def prune_resource_names(database: Database, retention: Retention, now: datetime) -> int:
    """Delete the names of days that are over for good. Returns of how many days of accounts."""
    before = oldest_not_dropped(now, retention.by_table()[RAW_TABLE]).date()
    return await delete_in_batches(
        database, PURGE_BATCH_SIZE, lambda tx: store.delete_resource_days(tx, before, PURGE_BATCH_SIZE)
    )
