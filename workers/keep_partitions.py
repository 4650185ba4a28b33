"""Keep the monthly partitions of usage: create them three months ahead, and delete what has expired."""

import asyncio

from prometheus_client import Counter

from portal.core.clock import utc_now
from portal.core.concurrency.worker_loop import every
from portal.core.database import Database
from portal.core.logs import get_log
from portal.usage import (
    Retention,
    drop_expired_partitions,
    ensure_partitions,
    prune_resource_names,
    purge_external_ids,
    purge_quarantine,
)

EVERY_SECONDS = 3600.0
BUSY_SECONDS = 60.0
EXPIRED = Counter("portal_quarantine_expired", "Quarantined entries dropped for their age, uncounted.", ["reason"])
_log = get_log(__name__)


async def run(database: Database, retention: Retention, stop: asyncio.Event) -> None:
    """Keep them hourly until stopped, sooner where an expired month is still being read."""

    async def keep() -> float | None:
        return BUSY_SECONDS if await keep_once(database, retention) else None

    await every(EVERY_SECONDS, keep, "keep_partitions", stop)


async def keep_once(database: Database, retention: Retention) -> list[str]:
    """Create, drop and purge what is due. Returns the expired partitions that are still in use."""
    created = await ensure_partitions(database, utc_now(), retention)
    if created:
        _log.info("partitions_created", names=created)
    outcome = await drop_expired_partitions(database, retention, utc_now())
    if outcome.names:
        _log.info("partitions_dropped", names=outcome.names)
    ids = await purge_external_ids(database, retention, utc_now())
    days = await prune_resource_names(database, retention, utc_now())
    if ids or days:
        _log.info("expired_usage_purged", external_ids=ids, resource_days=days)
    for reason, count in (await purge_quarantine(database, retention, utc_now())).items():
        EXPIRED.labels(reason).inc(count)
    return outcome.waiting
