"""Count the batches that couriers put on the bus, and raise the quota counters in Redis to what is counted."""

from portal.core.bus import Handler
from portal.core.database import Database
from portal.usage import Ingested, Merger, RaiseUsed, Retention, raise_quotas


def handler(database: Database, raise_used: RaiseUsed) -> Handler:
    """Returns for a batch once it is committed; an error keeps the batch with the bus."""
    return merger(database, raise_used).add


def merger(database: Database, raise_used: RaiseUsed, retention: Retention | None = None) -> Merger:
    """Everything that one process ingests goes through one of these. Without a retention nothing is too late."""

    async def raise_all(told: Ingested) -> None:
        await raise_quotas(raise_used, told.totals)

    return Merger(database, raise_all, retention)
