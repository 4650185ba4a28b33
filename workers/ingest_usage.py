"""Count the batches that couriers put on the bus, and raise the quota counters in Redis to what is counted."""

from portal.core.bus import Handler
from portal.core.database import Database
from portal.usage import IngestBatcher, IngestResult, RaiseUsed, Retention, sync_quota_counters


def handler(database: Database, raise_used: RaiseUsed) -> Handler:
    """Returns for a batch once it is committed; an error keeps the batch with the bus."""
    return batcher(database, raise_used).add


def batcher(database: Database, raise_used: RaiseUsed, retention: Retention | None = None) -> IngestBatcher:
    """Everything that one process ingests goes through one of these. Without a retention nothing is too late."""

    async def raise_all(told: IngestResult) -> None:
        await sync_quota_counters(raise_used, told.totals)

    return IngestBatcher(database, raise_all, retention)
