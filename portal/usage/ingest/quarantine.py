"""The quarantine: what could not be counted is listed, counted after all, or dropped. For the provider's people."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from portal.core.database import Database, Tx
from portal.core.logs import get_log
from portal.usage.ingest import store
from portal.usage.ingest.ingest_usage import ingest_batches
from portal.usage.ingest.resource_cap import ResourceCap
from portal.usage.ingest.store import PeriodTotal
from portal.usage.retention import Retention, delete_in_batches

PURGE_BATCH_SIZE = 1_000
_log = get_log(__name__)


@dataclass(slots=True)
class ReplayResult:
    """How many entries are counted now, how many are still rejected, and the totals that changed."""

    counted: int = 0
    rejected: int = 0
    totals: list[PeriodTotal] = field(default_factory=list)


async def replay_quarantined(database: Database, numbers: Sequence[int] | None) -> ReplayResult:
    """Count these entries, or all, once more; what is rejected again stays where it is.

    Each is counted first and then deleted: a crash in between leaves it, and counting it again changes nothing.
    """
    async with database.transaction() as tx:
        numbers = await store.list_quarantine_numbers(tx) if numbers is None else numbers
    cap, replayed = ResourceCap(), ReplayResult()
    for number in numbers:
        async with database.transaction() as tx:
            row = await store.find_quarantined(tx, number)
        if row is None:
            continue
        result = await ingest_batches(database, [row.body], cap)
        replayed.totals += result.totals
        if result.rejected:
            replayed.rejected += 1
            continue
        async with database.transaction() as tx:
            await store.delete_quarantined(tx, [number])
        replayed.counted += 1
    return replayed


async def purge_quarantine(database: Database, retention: Retention, now: datetime) -> Counter[str]:
    """Delete what nobody has counted within the retention, never to be counted. Returns how many by reason."""
    purged: Counter[str] = Counter()
    before = now - timedelta(days=retention.quarantine_days)

    async def purge(tx: Tx) -> int:
        entries = await store.delete_expired_quarantined(tx, before, PURGE_BATCH_SIZE)
        if entries:
            # Before the commit: rather logged twice than, after a crash in between, never.
            reasons = Counter(reason for reason, _ in entries)
            accounts = sorted({account for _, account in entries if account})
            get_log(__name__).warning(
                "quarantine_expired", count=len(entries), reasons=dict(reasons), accounts=accounts
            )
            purged.update(reasons)
        return len(entries)

    if retention.quarantine_days:
        await delete_in_batches(database, PURGE_BATCH_SIZE, purge)
    return purged
