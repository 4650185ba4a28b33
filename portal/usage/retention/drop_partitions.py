"""Drop the months that retention no longer keeps, never in the way of those who count or read.

Each goes in three steps: marked by a comment, detached CONCURRENTLY (that waits for old transactions but makes nobody
wait behind it), dropped when it is a table of its own that nobody can reach. Whatever a crash or a lock's timeout cuts
short shows in the catalogue, and the next call goes on there: a detachment that is pending is finalized, a marked table
that stands alone is dropped. Partitions that somebody else detached carry no mark and are left alone.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from portal.core.database import Database
from portal.core.logs import get_log
from portal.usage.retention.partitions import PARTITIONED
from portal.usage.retention.retention import Retention, oldest_not_dropped

MARK = "portal: expired, to be dropped"
LOCK_NOT_AVAILABLE = "55P03"
_MONTH = re.compile(r"_(\d{4})_(\d{2})$")
_log = get_log(__name__)

_ONLY_ONE = text("SELECT pg_try_advisory_lock(hashtext('portal.usage.drop_partitions'))")
_ATTACHED = text("""
SELECT parent.relname AS parent, child.relname AS name, inhdetachpending AS is_pending,
    coalesce(obj_description(child.oid, 'pg_class'), '') = :mark AS is_marked
FROM pg_inherits JOIN pg_class parent ON parent.oid = inhparent JOIN pg_class child ON child.oid = inhrelid
WHERE parent.relname = ANY(:parents) AND parent.relkind = 'p' AND child.relkind = 'r'
ORDER BY inhdetachpending DESC, child.relname
""")
_ALONE = text("""
SELECT relname FROM pg_class
WHERE relkind = 'r' AND NOT relispartition AND obj_description(oid, 'pg_class') = :mark ORDER BY relname
""")


@dataclass(frozen=True, slots=True)
class Dropped:
    """`waiting`: months that somebody's transaction still holds; a later call takes them."""

    names: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)


async def drop_expired_partitions(
    database: Database, retention: Retention, now: datetime, *, lock_timeout_ms: int = 2000
) -> Dropped:
    """Nothing while another process is at it. Raises database errors other than a lock that is not to be had."""
    outcome = Dropped()
    async with database.owner_connection(lock_timeout_ms=lock_timeout_ms) as connection:
        if not (await connection.execute(_ONLY_ONE)).scalar_one():
            return outcome
        for name in (await connection.execute(_ALONE, {"mark": MARK})).scalars().all():
            await _attempt(connection, outcome, name, [drop(name)])
        expired, regretted = await _marked_and_expired(connection, retention, now)
        for name in regretted:
            await connection.execute(text(f"COMMENT ON TABLE {name} IS NULL"))
        for parent, name, is_pending in expired:
            if any(name.startswith(parent) for name in outcome.waiting):
                continue  # PostgreSQL knows one pending detachment a table
            await _attempt(connection, outcome, name, steps(parent, name, is_pending=is_pending))
    return outcome


def steps(parent: str, name: str, *, is_pending: bool) -> list[str]:
    """Statements, each committed by itself. Names come from the catalogue and match our own."""
    if is_pending:
        return [f"ALTER TABLE {parent} DETACH PARTITION {name} FINALIZE", drop(name)]
    return [
        f"COMMENT ON TABLE {name} IS '{MARK}'",
        f"ALTER TABLE {parent} DETACH PARTITION {name} CONCURRENTLY",
        drop(name),
    ]


def drop(name: str) -> str:
    return f"DROP TABLE {name}"


async def _marked_and_expired(
    connection: AsyncConnection, retention: Retention, now: datetime
) -> tuple[list[tuple[str, str, bool]], list[str]]:
    """(parent, name, whether its detachment was begun), what was begun first; and marked ones that are to stay."""
    kept = retention.by_table()
    rows = (await connection.execute(_ATTACHED, {"parents": [*PARTITIONED], "mark": MARK})).all()
    expired, regretted = [], []
    for row in rows:
        month = _month_of_name(row.name.removeprefix(row.parent))
        is_expired = month is not None and month < oldest_not_dropped(now, kept[row.parent])
        if (row.is_pending and row.is_marked) or (is_expired and not row.is_pending):
            expired.append((row.parent, row.name, row.is_pending))
        elif row.is_marked and not row.is_pending:
            regretted.append(row.name)
    return expired, regretted


def _month_of_name(ending: str) -> datetime | None:
    found = _MONTH.fullmatch(ending)
    return datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC) if found else None


async def _attempt(connection: AsyncConnection, outcome: Dropped, name: str, statements: list[str]) -> None:
    try:
        for statement in statements:
            await connection.execute(text(statement))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        _log.info("partition_in_use", name=name)
        outcome.waiting.append(name)
    else:
        outcome.names.append(name)
