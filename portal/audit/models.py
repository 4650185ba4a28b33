"""The table of the audit log."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index, LargeBinary
from sqlmodel import Field, SQLModel

from portal.core.columns import json_column, time_column


class AuditEvent(SQLModel, table=True):
    """One act. `account_id` is empty for acts of the provider; `sequence` counts from 1 within the account."""

    __tablename__ = "audit_events"
    __table_args__ = (Index("ix_audit_events_subject", "account_id", "subject", "sequence"),)

    account_id: str = Field(primary_key=True)
    sequence: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    occurred_at: datetime = Field(sa_column=time_column())
    actor_kind: str
    actor_id: str
    address: str | None = None
    action: str
    subject: str
    details: dict[str, Any] = Field(sa_column=json_column())
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
