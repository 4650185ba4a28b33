"""Tables of keys and their secrets."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, LargeBinary, text
from sqlmodel import Field, SQLModel

from portal.core.columns import json_column, text_array_column, time_column


class Key(SQLModel, table=True):
    """One identity: limits, quota and history belong to it, whichever of its secrets is used.

    `limits` of its own hold beside the plan's; each is {"name", "amount", "window_ms"}. `overrides` replace limits of
    the plan, see rules.py; `overrides_end_at` is when the next one ends. `attributes` is the `metadata` of the API.
    """

    __tablename__ = "keys"
    __table_args__ = (
        Index("ix_keys_account_created", "account_id", "created_at", "id"),
        Index("ix_keys_overrides_end", "overrides_end_at", postgresql_where=text("overrides_end_at IS NOT NULL")),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="accounts.id")
    name: str
    environment: str
    scopes: list[str] = Field(default_factory=list, sa_column=text_array_column())
    allowed_ips: list[str] = Field(default_factory=list, sa_column=text_array_column())
    attributes: dict[str, Any] = Field(default_factory=dict, sa_column=json_column())
    limits: list[dict[str, Any]] = Field(default_factory=list, sa_column=json_column("[]"))
    overrides: list[dict[str, Any]] = Field(default_factory=list, sa_column=json_column("[]"))
    overrides_end_at: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))
    created_by: str
    created_at: datetime = Field(sa_column=time_column())
    expires_at: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))
    paused_at: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))
    revoked_at: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))
    revoked_reason: str | None = None


class KeySecret(SQLModel, table=True):
    """What a caller sends. `ends_at` is set by a rotation: until then old and new both verify."""

    __tablename__ = "key_secrets"

    id: str = Field(primary_key=True)
    key_id: str = Field(foreign_key="keys.id", index=True)
    account_id: str = Field(foreign_key="accounts.id")
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    display: str
    created_at: datetime = Field(sa_column=time_column())
    ends_at: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))
