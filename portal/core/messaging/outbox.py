"""The outbox: events are rows of the transaction that caused them, and a worker relays them to the bus.

An event is a fact that a verb leaves for others: a lower domain tells a higher one by an event, never by a call.
At least once: a crash between relaying and deleting sends an event again, so handlers are idempotent.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

import msgspec
from sqlalchemy import BigInteger, Column, DateTime, Identity, delete, func, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One fact. Subclasses add their fields and say their `wire_type`: what the outbox stores and handlers look for.

    A wire type never changes, whatever the class is called: rows with it may be waiting when a new version starts.
    """

    wire_type: ClassVar[str]
    account_id: str

    def __init_subclass__(cls) -> None:
        """Refuse a class without a wire type of its own."""
        super().__init_subclass__()
        if "wire_type" not in cls.__dict__:
            raise TypeError(f"{cls.__name__} has no wire_type")

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document


MAX_COUNTED = 10_000


class OutboxRow(SQLModel, table=True):
    """One event that waits to be relayed; the id gives the order."""

    __tablename__ = "outbox"

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    type: str
    body: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp())
    )


async def insert_events(session: AsyncSession, events: Sequence[Event]) -> None:
    rows = [{"type": event.wire_type, "body": event.to_json()} for event in events]
    # Without RETURNING: portal_app may add events and read none.
    await session.execute(insert(OutboxRow.__table__).inline(), rows)  # type: ignore[attr-defined]  # SQLModel adds it


async def lock_events(session: Any, most: int) -> list[OutboxRow]:
    """Lock the oldest waiting events, except those that another relay holds."""
    statement = select(OutboxRow).order_by(col(OutboxRow.id)).limit(most).with_for_update(skip_locked=True)
    return [*(await session.execute(statement)).scalars()]


async def measure_outbox(session: Any) -> tuple[int, datetime | None]:
    """Return how many events wait, counted up to MAX_COUNTED, and since when the oldest does."""
    oldest = select(col(OutboxRow.created_at)).order_by(col(OutboxRow.id)).limit(MAX_COUNTED).subquery()
    row = (await session.execute(select(func.count(), func.min(oldest.c.created_at)).select_from(oldest))).one()
    return row[0], row[1]


async def delete_events(session: Any, rows: Sequence[OutboxRow]) -> None:
    await session.execute(delete(OutboxRow).where(col(OutboxRow.id).in_([row.id for row in rows])))
