"""Tables of people, accounts (the tenant), memberships, sessions and tokens. Tokens are stored as SHA-256 only."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from portal.core.columns import text_array_column, time_column


class Person(SQLModel, table=True):
    """Somebody who signs in. `email` is stored in lower case."""

    __tablename__ = "people"

    id: str = Field(primary_key=True)
    email: str = Field(unique=True)
    name: str
    password_hash: str | None = None
    is_staff: bool = False
    created_at: datetime = Field(sa_column=time_column())


class Account(SQLModel, table=True):
    """The tenant. `policy_version` grows with every change to what its keys may do.

    `next_time_zone` waits until `next_time_zone_from`, the end of the billing period in which it was chosen. Billing
    writes it into `time_zone` some time later. `time_zone_chosen_at`: the last choice, also one that was withdrawn.
    """

    __tablename__ = "accounts"

    id: str = Field(primary_key=True)
    name: str
    time_zone: str = Field(default="UTC", sa_column_kwargs={"server_default": "UTC"})
    suspended_at: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))
    policy_version: int = Field(default=1, sa_column=Column(BigInteger, nullable=False, server_default=text("1")))
    created_at: datetime = Field(sa_column=time_column())
    next_time_zone: str | None = None
    next_time_zone_from: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))
    time_zone_chosen_at: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))

    def time_zone_at(self, now: datetime) -> str:
        """Return the zone that is in force: the one that waited, once its time has come."""
        is_due = self.next_time_zone_from is not None and self.next_time_zone_from <= now
        return self.next_time_zone if is_due and self.next_time_zone else self.time_zone


class Membership(SQLModel, table=True):
    """A person's role in an account."""

    __tablename__ = "memberships"

    account_id: str = Field(primary_key=True, foreign_key="accounts.id")
    person_id: str = Field(primary_key=True, foreign_key="people.id", index=True)
    role: str
    created_at: datetime = Field(sa_column=time_column())


class Session(SQLModel, table=True):
    """A signed-in browser. The cookie holds the token, the row its digest; `page_notes` is what waits for its pages."""

    __tablename__ = "sessions"

    id: str = Field(primary_key=True)
    token_digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    person_id: str = Field(foreign_key="people.id", index=True)
    account_id: str = Field(foreign_key="accounts.id")
    address: str | None = None
    user_agent: str | None = None
    created_at: datetime = Field(sa_column=time_column())
    seen_at: datetime = Field(sa_column=time_column())
    expires_at: datetime = Field(sa_column=time_column(is_indexed=True))
    page_notes: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True))


class SentForm(SQLModel, table=True):
    """A form that a session has sent; it stays as long as the session, so that the form never acts twice.

    `sealed` is the secret that it made, for ten minutes at most, encrypted with a key that only the session's cookie
    holds.
    """

    __tablename__ = "sent_forms"
    __table_args__ = (Index("ix_sent_forms_sealed", "created_at", postgresql_where=text("sealed IS NOT NULL")),)

    id: str = Field(primary_key=True)
    session_id: str = Field(
        sa_column=Column(String, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False, index=True)
    )
    account_id: str = Field(foreign_key="accounts.id")
    sealed: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    created_at: datetime = Field(sa_column=time_column())


class PersonalToken(SQLModel, table=True):
    """A person's access to GraphQL for one account, from scripts.

    `scopes` are the permissions that it has at most; None: all that the person's role allows.
    """

    __tablename__ = "personal_tokens"

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="accounts.id", index=True)
    person_id: str = Field(foreign_key="people.id")
    name: str
    token_digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    display: str
    scopes: list[str] | None = Field(default=None, sa_column=text_array_column(is_nullable=True))
    created_at: datetime = Field(sa_column=time_column())
    last_used_at: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))
    expires_at: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))
    revoked_at: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))


class ServiceToken(SQLModel, table=True):
    """A gateway's access to /check. Belongs to the provider, not to an account."""

    __tablename__ = "service_tokens"

    id: str = Field(primary_key=True)
    name: str
    token_digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    display: str = Field(default="", sa_column_kwargs={"server_default": ""})
    scopes: list[str] = Field(default_factory=list, sa_column=text_array_column())
    created_at: datetime = Field(sa_column=time_column())
    revoked_at: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))
