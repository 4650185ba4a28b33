"""Strays: events of an instant at which none can be counted by itself, kept until somebody decides.

Older than the raw events that are kept: what was counted then is no longer known, so counting it could double it.
Further ahead than AHEAD: its clock was wrong, and so would be its billing period. Neither is lost, neither is counted:
`release_strays` counts them after all, `drop_strays` gives them up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import DateTime, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from portal import audit
from portal.core.actor import Actor, Permission
from portal.core.database import Database, Tx
from portal.usage.records import UsageRecord, decode_batch, encode_record, join_batch

TAKEN_AT_ONCE = 5000
_INSERT = text("""
INSERT INTO usage_strays (account_id, request_id, occurred_at, reason, record, received_at)
SELECT account_id, request_id, occurred_at, reason, record, :now
FROM unnest(:accounts ::text[], :requests ::text[], :instants, :reasons ::text[], :records ::bytea[])
    AS stray (account_id, request_id, occurred_at, reason, record)
ORDER BY account_id, request_id ON CONFLICT DO NOTHING
""").bindparams(bindparam("instants", type_=ARRAY(DateTime(timezone=True))), bindparam("now", type_=DateTime(True)))
_SUMMARY = text("""
SELECT account_id, reason, count(*) AS events, min(occurred_at) AS first, max(occurred_at) AS last
FROM usage_strays GROUP BY 1, 2 ORDER BY 1, 2 LIMIT :most
""")
_TIMES = text("""
SELECT DISTINCT date_trunc('month', occurred_at) FROM usage_strays WHERE account_id = :account LIMIT 1200
""")
_TAKE = text("""
DELETE FROM usage_strays WHERE account_id = :account AND request_id IN (
    SELECT request_id FROM usage_strays
    WHERE account_id = :account AND (CAST(:reason AS text) IS NULL OR reason = :reason)
    ORDER BY request_id LIMIT :most FOR UPDATE
) RETURNING record
""")


@dataclass(frozen=True, slots=True)
class Stray:
    """An event that ingest did not count, and why: `late` or `future`."""

    record: UsageRecord
    occurred_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class StrayCount:
    account_id: str
    reason: str
    count: int
    first: datetime
    last: datetime


async def insert_strays(tx: Tx, strays: Sequence[Stray]) -> None:
    """Each once, however often it is delivered."""
    await tx.execute(
        _INSERT,
        {
            "now": tx.now,
            "accounts": [stray.record.account_id for stray in strays],
            "requests": [stray.record.request_id for stray in strays],
            "instants": [stray.occurred_at for stray in strays],
            "reasons": [stray.reason for stray in strays],
            "records": [encode_record(stray.record) for stray in strays],
        },
    )


async def list_strays(tx: Tx, most: int = 1000) -> list[StrayCount]:
    """By account and reason."""
    rows = (await tx.execute(_SUMMARY, {"most": most})).all()
    return [StrayCount(row.account_id, row.reason, row.events, row.first, row.last) for row in rows]


async def list_stray_times(tx: Tx, account_id: str) -> list[datetime]:
    """The months that an account has strays of."""
    return await tx.list(_TIMES, {"account": account_id})


async def take_strays(tx: Tx, account_id: str, reason: str | None) -> list[UsageRecord]:
    """Delete up to TAKEN_AT_ONCE of them and return what they say."""
    records = await tx.list(_TAKE, {"account": account_id, "reason": reason, "most": TAKEN_AT_ONCE})
    return decode_batch(join_batch(records))


async def drop_strays(database: Database, actor: Actor, reason: str | None) -> int:
    """Give up those of the actor's account. Returns how many there were. Raises Forbidden but for staff."""
    actor.require(Permission.STAFF)
    dropped = 0
    while True:
        async with database.transaction() as tx:
            taken = await take_strays(tx, actor.account_id, reason)
            if taken:
                await audit.record(tx, actor, "usage.stray.drop", actor.account_id, count=len(taken))
        dropped += len(taken)
        if len(taken) < TAKEN_AT_ONCE:
            return dropped
