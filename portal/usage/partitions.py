"""Monthly partitions of the usage tables: there before anything is written to them."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import text

from portal.core.database import Database
from portal.usage.rules import month_of, months_from, partition_name

PARTITIONED = ("usage_events", "usage_minutes", "usage_quarters", "usage_days")
MONTHS_BEFORE = 4
MONTHS_AHEAD = 3

_QUEUE = text("SELECT pg_advisory_xact_lock(hashtext('portal.usage.partitions'))")
_EXISTING = text("SELECT relname FROM pg_class WHERE relname = ANY(:names) AND relkind = 'r'")


async def ensure_partitions(database: Database, around: datetime) -> list[str]:
    """Four months back (late events, demo data) to three ahead. Returns the names of the new ones."""
    month = month_of(around)
    return await create_partitions(
        database, [months_from(month, offset) for offset in range(-MONTHS_BEFORE, MONTHS_AHEAD + 1)]
    )


async def create_partitions(database: Database, months: Iterable[datetime]) -> list[str]:
    """Those that are missing, each in a transaction of its own, so that no lock on a table is held for long.

    Raises a database error when a lock is not to be had within 2 s; a later call goes on where this one stopped.
    """
    wanted = {partition_name(table, month): (table, month) for month in months for table in PARTITIONED}
    async with database.transaction() as tx:
        existing = await tx.list(_EXISTING, {"names": [*wanted]})
    missing = [name for name in wanted if name not in set(existing)]
    for name in missing:
        await _create(database, name, *wanted[name])
    return missing


async def _create(database: Database, name: str, table: str, month: datetime) -> None:
    end = months_from(month, 1)
    # Only our own table names and formatted months are filled in; DDL takes no parameters.
    ddl = f"""CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table}
        FOR VALUES FROM ('{month:%Y-%m-%d} 00:00:00+00') TO ('{end:%Y-%m-%d} 00:00:00+00')"""
    async with database.owner_transaction() as tx:
        await tx.execute(_QUEUE)
        await tx.execute(text(ddl))
