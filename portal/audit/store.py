"""Statements of the audit log."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Select, func, select, text, tuple_
from sqlmodel import col

from portal.audit.models import AuditEvent
from portal.core.database import Tx

Selected = TypeVar("Selected")
_TRY_LOCK = text("""
SELECT account_id FROM unnest(CAST(:accounts AS text[])) AS wanted (account_id)
WHERE pg_try_advisory_xact_lock(hashtextextended('audit:' || account_id, 0))
""")
_LAST_ROWS = text("""
SELECT last.* FROM unnest(CAST(:accounts AS text[])) AS wanted (account_id) CROSS JOIN LATERAL (
    SELECT * FROM audit_events event WHERE event.account_id = wanted.account_id ORDER BY sequence DESC LIMIT 1
) last
""")


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which rows: `action` is one (key.create) or all of a kind (key); `actor` and `subject` are ids."""

    action: str | None = None
    subject: str | None = None
    actor: str | None = None


async def lock_chain(tx: Tx, account_id: str) -> AuditEvent | None:
    """Return the account's last row, holding off other writers until this transaction ends."""
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("audit:" + account_id, 0))))
    statement = (
        select(AuditEvent)
        .where(col(AuditEvent.account_id) == account_id)
        .order_by(col(AuditEvent.sequence).desc())
        .limit(1)
    )
    return await tx.find(statement)


async def try_lock_chains(tx: Tx, account_ids: Collection[str]) -> dict[str, AuditEvent | None]:
    """Lock those chains that nobody writes in, as `lock_chain` does, and return them with their last rows."""
    locked = await tx.list(_TRY_LOCK, {"accounts": sorted(account_ids)}, returns=str)
    last = select(AuditEvent).from_statement(_LAST_ROWS)
    rows: dict[str, AuditEvent] = {
        row.account_id: row for row in (await tx.execute(last, {"accounts": locked})).scalars()
    }
    return {account_id: rows.get(account_id) for account_id in locked}


async def list_audit_events(tx: Tx, account_id: str, *, after_sequence: int = 0, most: int = 100) -> list[AuditEvent]:
    """Return rows of an account in the order of the chain."""
    statement = (
        select(AuditEvent)
        .where(col(AuditEvent.account_id) == account_id, col(AuditEvent.sequence) > after_sequence)
        .order_by(col(AuditEvent.sequence))
        .limit(most)
    )
    return await tx.list(statement)


async def list_rows(tx: Tx, *, after: tuple[str, int], most: int) -> list[AuditEvent]:
    """Return rows of all accounts, chain by chain; `after` is (account, sequence) of the last one seen."""
    place = tuple_(col(AuditEvent.account_id), col(AuditEvent.sequence))
    statement = select(AuditEvent).where(place > after, col(AuditEvent.sequence) > 0)
    return await tx.list(statement.order_by(col(AuditEvent.account_id), col(AuditEvent.sequence)).limit(most))


async def count_rows(tx: Tx) -> int:
    """Count the rows of all accounts."""
    return await tx.get(select(func.count()).select_from(AuditEvent))


async def list_newest(
    tx: Tx, account_id: str, filters: AuditFilter, *, most: int, before_sequence: int | None = None
) -> list[AuditEvent]:
    """Return rows, newest first; `before_sequence` is that of the last one seen."""
    statement = _matching(select(AuditEvent), account_id, filters)
    if before_sequence is not None:
        statement = statement.where(col(AuditEvent.sequence) < before_sequence)
    return await tx.list(statement.order_by(col(AuditEvent.sequence).desc()).limit(most))


async def count_audit_events(tx: Tx, account_id: str, filters: AuditFilter) -> int:
    return await tx.get(_matching(select(func.count(col(AuditEvent.sequence))), account_id, filters))


async def find_audit_event(tx: Tx, account_id: str, sequence: int) -> AuditEvent | None:
    return await tx.find(
        select(AuditEvent).where(col(AuditEvent.account_id) == account_id, col(AuditEvent.sequence) == sequence)
    )


def _matching(statement: Select[Selected], account_id: str, filters: AuditFilter) -> Select[Selected]:
    statement = statement.where(col(AuditEvent.account_id) == account_id)
    if filters.action:
        kind = col(AuditEvent.action).startswith(f"{filters.action}.", autoescape=True)
        statement = statement.where(col(AuditEvent.action) == filters.action if "." in filters.action else kind)
    if filters.subject:
        statement = statement.where(col(AuditEvent.subject) == filters.subject)
    if filters.actor:
        statement = statement.where(col(AuditEvent.actor_id) == filters.actor)
    return statement
