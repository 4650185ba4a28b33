"""Statements of the audit log."""

from sqlalchemy import func, select
from sqlmodel import col

from portal.audit.models import AuditEvent
from portal.core.database import Tx


async def lock_chain(tx: Tx, account_id: str) -> AuditEvent | None:
    """The account's last row, holding off other writers until this transaction ends."""
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("audit:" + account_id, 0))))
    statement = (
        select(AuditEvent)
        .where(col(AuditEvent.account_id) == account_id)
        .order_by(col(AuditEvent.sequence).desc())
        .limit(1)
    )
    row: AuditEvent | None = await tx.find(statement)
    return row


async def list_audit_events(tx: Tx, account_id: str, *, after_sequence: int = 0, most: int = 100) -> list[AuditEvent]:
    """Rows of an account in the order of the chain."""
    statement = (
        select(AuditEvent)
        .where(col(AuditEvent.account_id) == account_id, col(AuditEvent.sequence) > after_sequence)
        .order_by(col(AuditEvent.sequence))
        .limit(most)
    )
    return await tx.list(statement)


async def list_chains(tx: Tx) -> list[str]:
    """Every account that has a chain (the provider's own is the empty text)."""
    return await tx.list(select(col(AuditEvent.account_id)).distinct().order_by(col(AuditEvent.account_id)))
