"""Monthly partitions of the usage tables: there before anything is written to them."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import text

from portal.core.database import Database
from portal.usage.retention.retention import Retention, oldest_kept
from portal.usage.rules import month_of, months_from, partition_name

PARTITIONED = ("usage_events", "usage_minutes", "usage_quarters", "usage_days")
MONTHS_BEFORE = 4
MONTHS_AHEAD = 3

_QUEUE = text("SELECT pg_advisory_xact_lock(hashtext('portal.usage.partitions'))")
_ATTACHED = text("SELECT relname FROM pg_class WHERE relname = ANY(:names) AND relkind = 'r' AND relispartition")


async def ensure_partitions(database: Database, around: datetime, retention: Retention | None = None) -> list[str]:
    """Four months back (late events, demo data), unless they are expired, to three ahead. Returns the new ones."""
    kept = (retention or Retention()).by_table()
    month = month_of(around)
    months = [months_from(month, offset) for offset in range(-MONTHS_BEFORE, MONTHS_AHEAD + 1)]
    wanted = [(table, m) for m in months for table in PARTITIONED if m >= oldest_kept(around, kept[table])]
    return await _create_missing(database, wanted)


async def create_partitions(database: Database, months: Iterable[datetime]) -> list[str]:
    """Those that are missing, each in a transaction of its own, so that no lock on a table is held for long.

    Raises a database error when a lock is not to be had within 2 s; a later call goes on where this one stopped.
    """
    return await _create_missing(database, [(table, month) for month in months for table in PARTITIONED])


async def _create_missing(database: Database, wanted: Iterable[tuple[str, datetime]]) -> list[str]:
    names = {partition_name(table, month): (table, month) for table, month in wanted}
    async with database.transaction() as tx:
        existing = set(await tx.list(_ATTACHED, {"names": [*names]}, returns=str))
    missing = [name for name in names if name not in existing]
    for name in missing:
        await _create(database, name, *names[name])
    return missing


async def _create(database: Database, name: str, table: str, month: datetime) -> None:
    """Made apart and then attached: that waits for no reader and holds up no writer, as PARTITION OF would.

    A table of this name that is no partition is an error: somebody detached it and has to decide what becomes of it.
    """
    end = months_from(month, 1)
    # Only our own table names and formatted months are filled in; DDL takes no parameters.
    attach = f"""ALTER TABLE {table} ATTACH PARTITION {name}
        FOR VALUES FROM ('{month:%Y-%m-%d} 00:00:00+00') TO ('{end:%Y-%m-%d} 00:00:00+00')"""
    async with database.owner_transaction() as tx:
        await tx.execute(_QUEUE)
        if not await tx.list(_ATTACHED, {"names": [name]}):
            await tx.execute(text(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS)"))
            await tx.execute(text(attach))
