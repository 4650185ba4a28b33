"""Monthly partitions of the usage tables: there before anything is written to them."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.exc import IntegrityError

from portal.core.database import Database
from portal.usage.retention import store
from portal.usage.retention.retention_policy import Retention, oldest_kept
from portal.usage.retention.store import PARTITIONED
from portal.usage.rules import month_of, months_from, partition_name

MONTHS_BEFORE = 4
MONTHS_AHEAD = 3
_NO_PARTITION = "23514"


async def ensure_partitions(database: Database, around: datetime, retention: Retention | None = None) -> list[str]:
    """Create the partitions around an instant that are missing, and return their names.

    Four months back (late events, demo data), unless they are expired, to three ahead.
    """
    months_kept = (retention or Retention()).by_table()
    month = month_of(around)
    months = [months_from(month, offset) for offset in range(-MONTHS_BEFORE, MONTHS_AHEAD + 1)]
    wanted = [(table, m) for m in months for table in PARTITIONED if m >= oldest_kept(around, months_kept[table])]
    return await _create_missing(database, wanted)


async def create_partitions(database: Database, months: Iterable[datetime]) -> list[str]:
    """Create the partitions of these months that are missing, and return their names.

    Each in a transaction of its own, so that no lock on a table is held for long. Raises a database error when a lock
    is not to be had within 2 s; a later call goes on where this one stopped.
    """
    return await _create_missing(database, [(table, month) for month in months for table in PARTITIONED])


def is_partition_missing(error: IntegrityError) -> bool:
    """Return whether a row was refused because its month has no partition."""
    return getattr(error.orig, "sqlstate", None) == _NO_PARTITION


async def _create_missing(database: Database, wanted: Iterable[tuple[str, datetime]]) -> list[str]:
    names = {partition_name(table, month): (table, month) for table, month in wanted}
    async with database.transaction() as tx:
        existing = await store.list_attached(tx, names)
    missing = [name for name in names if name not in existing]
    for name in missing:
        async with database.owner_transaction() as tx:
            await store.lock_partitions(tx)
            if not await store.list_attached(tx, [name]):
                await store.attach_partition(tx, name, *names[name])
    return missing
