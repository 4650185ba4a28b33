"""The one table of GraphQL itself: responses stored for a repeated request."""

from datetime import datetime

from sqlalchemy import Column, Index, LargeBinary
from sqlmodel import Field, SQLModel

from portal.core.columns import time_column


class StoredResponse(SQLModel, table=True):
    """Written in the mutation's own transaction. `answer` is encrypted with a key that is stored nowhere."""

    __tablename__ = "kept_answers"
    __table_args__ = (Index("ix_kept_answers_created", "created_at"),)

    account_id: str = Field(primary_key=True, foreign_key="accounts.id")
    name_digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    request_digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    answer: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    created_at: datetime = Field(sa_column=time_column())
