"""Statements of retention: monthly partitions in the catalogue, how one is attached and taken out, old rows.

DDL takes no parameters: only table names of our own, months and names from the catalogue that match ours are filled in.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Date, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from portal.core.database import Tx
from portal.usage.rules import months_from

PARTITIONED = ("usage_events", "usage_minutes", "usage_quarters", "usage_days")
EXPIRED_MARK = "portal: expired, to be dropped"
"""The comment on a partition that is to go."""

_QUEUE = text("SELECT pg_advisory_xact_lock(hashtext('portal.usage.partitions'))")
_ATTACHED = text("SELECT relname FROM pg_class WHERE relname = ANY(:names) AND relkind = 'r' AND relispartition")
_TRY_LOCK = text("SELECT pg_try_advisory_lock(hashtext('portal.usage.drop_partitions'))")
_PARTITIONS = text("""
SELECT parent.relname AS parent, child.relname AS name, inhdetachpending AS is_pending,
    coalesce(obj_description(child.oid, 'pg_class'), '') = :mark AS is_marked
FROM pg_inherits JOIN pg_class parent ON parent.oid = inhparent JOIN pg_class child ON child.oid = inhrelid
WHERE parent.relname = ANY(:parents) AND parent.relkind = 'p' AND child.relkind = 'r'
ORDER BY inhdetachpending DESC, child.relname
""")
_DETACHED = text("""
SELECT relname FROM pg_class
WHERE relkind = 'r' AND NOT relispartition AND obj_description(oid, 'pg_class') = :mark ORDER BY relname
""")
_DELETE_RESOURCES = text("""
DELETE FROM usage_resources WHERE ctid IN (
    SELECT ctid FROM usage_resources WHERE day < :before LIMIT :limit FOR UPDATE SKIP LOCKED
)
""").bindparams(bindparam("before", type_=Date))


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition as the catalogue has it. `is_pending`: its detachment was begun and not finished."""

    parent: str
    name: str
    is_pending: bool = False
    is_marked: bool = False


async def list_attached(tx: Tx, names: Collection[str]) -> set[str]:
    """Return which of these names are partitions already."""
    return set(await tx.list(_ATTACHED, {"names": [*names]}, returns=str))


async def lock_partitions(tx: Tx) -> None:
    """Wait for whoever else attaches partitions, and hold them off until the end of the transaction."""
    await tx.execute(_QUEUE)


async def attach_partition(tx: Tx, name: str, table: str, month: datetime) -> None:
    """Make a month's partition apart and then attach it: that waits for no reader and holds up no writer.

    PARTITION OF would. A table of this name that is no partition is an error: somebody detached it and has to decide
    what becomes of it.
    """
    await tx.execute(text(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS)"))
    await tx.execute(
        text(f"""ALTER TABLE {table} ATTACH PARTITION {name}
        FOR VALUES FROM ('{month:%Y-%m-%d} 00:00:00+00') TO ('{months_from(month, 1):%Y-%m-%d} 00:00:00+00')""")
    )


async def try_lock_dropping(connection: AsyncConnection) -> bool:
    """Return whether this connection may drop partitions: only one at a time may."""
    return bool((await connection.execute(_TRY_LOCK)).scalar_one())


async def list_partitions(connection: AsyncConnection) -> list[Partition]:
    """Return the attached partitions of every usage table, those with a pending detachment first."""
    rows = await connection.execute(_PARTITIONS, {"parents": [*PARTITIONED], "mark": EXPIRED_MARK})
    return [Partition(row.parent, row.name, row.is_pending, row.is_marked) for row in rows]


async def list_detached(connection: AsyncConnection) -> Sequence[str]:
    """Return the names of marked tables that were detached and not dropped."""
    return (await connection.execute(_DETACHED, {"mark": EXPIRED_MARK})).scalars().all()


async def unmark_partition(connection: AsyncConnection, name: str) -> None:
    """Remove the mark from a partition that is to stay after all."""
    await connection.execute(text(f"COMMENT ON TABLE {name} IS NULL"))


async def detach_partition(connection: AsyncConnection, partition: Partition) -> None:
    """Mark and detach a partition, or finish a detachment that was begun. Each statement is committed by itself."""
    table = f"ALTER TABLE {partition.parent} DETACH PARTITION {partition.name}"
    if partition.is_pending:
        await connection.execute(text(f"{table} FINALIZE"))
    else:
        await connection.execute(text(f"COMMENT ON TABLE {partition.name} IS '{EXPIRED_MARK}'"))
        await connection.execute(text(f"{table} CONCURRENTLY"))


async def drop_table(connection: AsyncConnection, name: str) -> None:
    """Drop a table that is no partition any more."""
    await connection.execute(text(f"DROP TABLE {name}"))


async def delete_resource_days(tx: Tx, before: date, limit: int) -> int:
    """Delete the resource names of at most `limit` days of accounts before a day. Returns of how many."""
    result = await tx.execute(_DELETE_RESOURCES, {"before": before, "limit": limit})
    return result.rowcount  # type: ignore[attr-defined,no-any-return]  # a DELETE has one
