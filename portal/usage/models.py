"""Tables of usage. Events and buckets are partitioned by month, so that old ones go by dropping a partition."""

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Date, Identity, Index, Integer, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from portal.core.columns import text_array_column, time_column


class UsageEvent(SQLModel, table=True):
    """One counted check. `request_id` is what the caller got; `occurred_at` is derived from it.

    `denial`: what a denied one lacked (records.Denial); null for those that versions without it counted.
    """

    __tablename__ = "usage_events"
    __table_args__: ClassVar = (
        Index("ix_usage_events_occurred", "occurred_at", postgresql_using="brin"),
        {"postgresql_partition_by": "RANGE (occurred_at)"},
    )

    account_id: str = Field(primary_key=True)
    occurred_at: datetime = Field(sa_column=Column(time_column().type, primary_key=True))
    request_id: str = Field(primary_key=True)
    key_id: str
    secret_id: str
    environment: str
    resource: str
    code: str
    cost: int = Field(sa_column=Column(Integer, nullable=False))
    period: str
    settled_at: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))
    denial: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))


class Bucket(SQLModel):
    """Checks of one key, resource and outcome within one stretch of time that starts at `bucket_at`.

    `calls` counts checks, `units` adds up their cost. `outcome` is the code of the answer. The index of the primary key
    also holds the figures (INCLUDE, see migrations 0030 and 0062).
    """

    account_id: str = Field(primary_key=True)
    bucket_at: datetime = Field(primary_key=True, sa_type=time_column().type)
    key_id: str = Field(primary_key=True)
    environment: str = Field(primary_key=True)
    resource: str = Field(primary_key=True)
    outcome: str = Field(primary_key=True)
    calls: int = Field(sa_type=BigInteger)
    units: int = Field(sa_type=BigInteger)


class UsageMinute(Bucket, table=True):
    __tablename__ = "usage_minutes"
    __table_args__: ClassVar = {"postgresql_partition_by": "RANGE (bucket_at)"}


class UsageQuarter(Bucket, table=True):
    """Quarter-hours: they add up to an hour or a day of any time zone."""

    __tablename__ = "usage_quarters"
    __table_args__: ClassVar = {"postgresql_partition_by": "RANGE (bucket_at)"}


class UsageDay(Bucket, table=True):
    """Days in UTC."""

    __tablename__ = "usage_days"
    __table_args__: ClassVar = {"postgresql_partition_by": "RANGE (bucket_at)"}


class UsagePeriod(SQLModel, table=True):
    """Billable units of an account in one billing period; what a lost counter in Redis is rebuilt from.

    `settled` is what of them settlements added (negative: took back). At `closed_at` the period was billed; `billed` of
    the units are on invoices, and whatever comes later waits for the account's next one.
    """

    __tablename__ = "usage_periods"

    account_id: str = Field(primary_key=True)
    period: str = Field(primary_key=True)
    used: int = Field(sa_column=Column(BigInteger, nullable=False))
    settled: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    closed_at: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))
    billed: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0")))


class SecretUse(SQLModel, table=True):
    """When each secret was last admitted or refused: tells whether a rotated one is still in use.

    `last_used_address` is the newest address that a check passed on, empty where none did.
    """

    __tablename__ = "secret_uses"

    account_id: str = Field(primary_key=True)
    secret_id: str = Field(primary_key=True)
    key_id: str
    last_used_at: datetime = Field(sa_column=time_column())
    last_used_address: str = Field(default="", sa_column_kwargs={"server_default": ""})


class ResourceDay(SQLModel, table=True):
    """The resources that have buckets of their own on an account's day (UTC); those of all others are called `other`.

    Names are only ever added, up to a number, so each event of the day belongs to the same bucket for ever.
    """

    __tablename__ = "usage_resources"

    account_id: str = Field(primary_key=True)
    day: date = Field(sa_column=Column(Date, primary_key=True))
    names: list[str] = Field(sa_column=text_array_column())


class Quarantined(SQLModel, table=True):
    """What ingest could not count: a record, or a whole batch, in `body`, which is a batch on the bus in either case.

    `digest` of reason and body: the same thing delivered again is the same row.
    """

    __tablename__ = "usage_quarantine"

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    digest: bytes = Field(unique=True)
    reason: str
    detail: str
    account_id: str | None = Field(default=None)
    request_id: str | None = Field(default=None)
    body: bytes
    quarantined_at: datetime = Field(sa_column=time_column())


class KnownExternalEvent(SQLModel, table=True):
    """An external usage event that was counted. (account, source, id) is what makes it count once.

    `request_id` and `occurred_at` lead to its row in `usage_events`; `digest` tells a repetition from another content.
    """

    __tablename__ = "external_events"
    __table_args__ = (Index("ix_external_events_occurred", "occurred_at"),)

    account_id: str = Field(primary_key=True)
    source: str = Field(primary_key=True)
    event_id: str = Field(primary_key=True)
    request_id: str
    occurred_at: datetime = Field(sa_column=time_column())
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    service_id: str
    received_at: datetime = Field(sa_column=time_column())
