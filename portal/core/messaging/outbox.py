"""The outbox: events are rows of the transaction that caused them, and a worker relays them to the bus.

At least once: a crash between relaying and deleting sends an event again, so handlers are idempotent.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Identity, delete, func, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from portal.core.messaging.events import Event

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
