"""The quarantine: what could not be counted, looked at, counted after all, or dropped. For the provider's people."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from portal.core.database import Database, Tx
from portal.core.logs import get_log
from portal.usage.ingest import store
from portal.usage.ingest.ingest import ingest_batches
from portal.usage.ingest.resource_cap import ResourceNames
from portal.usage.ingest.store import PeriodUse
from portal.usage.models import Quarantined
from portal.usage.retention.batches import delete_in_batches
from portal.usage.retention.retention import Retention

PURGE_BATCH_SIZE = 1_000


@dataclass(slots=True)
class ReplayResult:
    """How many are counted now and how many are still no usage, and the totals that changed."""

    counted: int = 0
    kept: int = 0
    totals: list[PeriodUse] = field(default_factory=list)


async def list_quarantined(tx: Tx, most: int) -> list[Quarantined]:
    """The oldest first."""
    return await store.list_quarantined(tx, most)


async def find_quarantined(tx: Tx, number: int) -> Quarantined | None:
    return await store.find_quarantined(tx, number)


async def count_quarantined(tx: Tx) -> int:
    return await store.count_quarantined(tx)


async def replay_quarantined(database: Database, numbers: Sequence[int] | None) -> ReplayResult:
    """Count those, or all, once more; what is still no usage stays where it is.

    Counted first, then taken out: a crash in between leaves it, and counting it again changes nothing.
    """
    async with database.transaction() as tx:
        wanted = await store.list_numbers(tx) if numbers is None else [*numbers]
    names, replayed = ResourceNames(), ReplayResult()
    for number in wanted:
        async with database.transaction() as tx:
            row = await store.find_quarantined(tx, number)
        if row is None:
            continue
        told = await ingest_batches(database, [row.body], names)
        replayed.totals += told.totals
        if told.rejected:
            replayed.kept += 1
            continue
        async with database.transaction() as tx:
            await store.delete_quarantined(tx, [number])
        replayed.counted += 1
    return replayed


async def drop_quarantined(tx: Tx, numbers: Sequence[int] | None) -> int:
    """Those, or all, for good. Returns how many there were."""
    return await store.delete_quarantined(tx, numbers)


async def drop_expired_quarantined(database: Database, retention: Retention, now: datetime) -> Counter[str]:
    """What nobody has counted within the retention, never to be counted. Returns how many there were by reason."""
    dropped: Counter[str] = Counter()
    before = now - timedelta(days=retention.quarantine_days)

    async def drop(tx: Tx) -> int:
        gone = await store.delete_expired(tx, before, PURGE_BATCH_SIZE)
        if gone:
            # Before the commit: rather told twice than, after a crash in between, never.
            reasons = Counter(reason for reason, _ in gone)
            accounts = sorted({account for _, account in gone if account})
            get_log(__name__).warning("quarantine_expired", count=len(gone), reasons=dict(reasons), accounts=accounts)
            dropped.update(reasons)
        return len(gone)

    if retention.quarantine_days:
        await delete_in_batches(database, PURGE_BATCH_SIZE, drop)
    return dropped
