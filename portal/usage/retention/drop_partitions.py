"""Drop the months that retention no longer keeps, never in the way of those who count or read.

Each goes in three steps: marked by a comment, detached CONCURRENTLY (that waits for old transactions but makes nobody
wait behind it), dropped when it is a table of its own that nobody can reach. Whatever a crash or a lock's timeout cuts
short shows in the catalogue, and the next call goes on there: a detachment that is pending is finalized, a marked table
that stands alone is dropped. Partitions that somebody else detached carry no mark and are left alone.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from portal.core.database import Database
from portal.core.logs import get_log
from portal.usage.retention import store
from portal.usage.retention.retention_policy import Retention, oldest_not_dropped
from portal.usage.retention.store import Partition

LOCK_NOT_AVAILABLE = "55P03"
_MONTH = re.compile(r"_(\d{4})_(\d{2})$")
_log = get_log(__name__)


@dataclass(frozen=True, slots=True)
class DroppedPartitions:
    """`names` are gone; `waiting` are months that somebody's transaction still holds: a later call drops them."""

    names: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)


async def drop_expired_partitions(
    database: Database, retention: Retention, now: datetime, *, lock_timeout_ms: int = 2000
) -> DroppedPartitions:
    """Drop the expired partitions; nothing while another process is at it.

    Raises database errors other than a lock that is not to be had.
    """
    outcome = DroppedPartitions()
    async with database.owner_connection(lock_timeout_ms=lock_timeout_ms) as connection:
        if not await store.try_lock_dropping(connection):
            return outcome
        for name in await store.list_detached(connection):
            await _drop(connection, outcome, name)
        for partition in await store.list_partitions(connection):
            if _is_to_go(partition, retention, now):
                # PostgreSQL allows one pending detachment a table.
                if not any(name.startswith(partition.parent) for name in outcome.waiting):
                    await _drop(connection, outcome, partition.name, partition)
            elif partition.is_marked and not partition.is_pending:
                await store.unmark_partition(connection, partition.name)
    return outcome


def _is_to_go(partition: Partition, retention: Retention, now: datetime) -> bool:
    """Return whether its month is expired, or its detachment was begun by us. Pending ones of somebody else stay."""
    if partition.is_pending:
        return partition.is_marked
    month = _month_of_name(partition.name.removeprefix(partition.parent))
    return month is not None and month < oldest_not_dropped(now, retention.by_table()[partition.parent])


def _month_of_name(ending: str) -> datetime | None:
    match = _MONTH.fullmatch(ending)
    return datetime(int(match[1]), int(match[2]), 1, tzinfo=UTC) if match else None


async def _drop(
    connection: AsyncConnection, outcome: DroppedPartitions, name: str, partition: Partition | None = None
) -> None:
    """Drop a table, after detaching it where it is a partition. One that is in use waits for a later call."""
    try:
        if partition is not None:
            await store.detach_partition(connection, partition)
        await store.drop_table(connection, name)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        _log.info("partition_in_use", name=name)
        outcome.waiting.append(name)
    else:
        outcome.names.append(name)
