"""Statements on the ids of external usage. Every one carries the account, but for the clearing of old ones."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import DateTime, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from portal.core.database import Tx

if TYPE_CHECKING:
    from portal.usage.external.count import ExternalEvent

Name = tuple[str, str, str]
"""(account, source, id)."""

# In the order of the key, so that two callers with the same events wait for one another in line.
_INSERT = text("""
INSERT INTO external_events (account_id, source, event_id, request_id, occurred_at, digest, service_id, received_at)
SELECT account_id, source, event_id, request_id, occurred_at, digest, :service, :now
FROM unnest(:accounts ::text[], :sources ::text[], :ids ::text[], :requests ::text[], :instants, :digests ::bytea[])
    AS event (account_id, source, event_id, request_id, occurred_at, digest)
ORDER BY account_id, source, event_id ON CONFLICT DO NOTHING
RETURNING account_id, source, event_id
""").bindparams(bindparam("instants", type_=ARRAY(DateTime(timezone=True))), bindparam("now", type_=DateTime(True)))
_DIGESTS = text("""
SELECT account_id, source, event_id, digest FROM external_events
WHERE (account_id, source, event_id) IN (SELECT * FROM unnest(:accounts ::text[], :sources ::text[], :ids ::text[]))
""")
_DELETE = text("""
DELETE FROM external_events WHERE ctid IN (
    SELECT ctid FROM external_events WHERE occurred_at < :before ORDER BY occurred_at LIMIT :most FOR UPDATE SKIP LOCKED
)
""").bindparams(bindparam("before", type_=DateTime(timezone=True)))


async def insert_new(tx: Tx, events: Sequence["ExternalEvent"], service_id: str) -> set[Name]:
    """The names of those that were not there; waits for others who are inserting the same."""
    values = {
        "service": service_id,
        "now": tx.now,
        "requests": [event.request_id for event in events],
        "instants": [event.occurred_at for event in events],
        "digests": [event.digest for event in events],
    }
    rows = await tx.execute(_INSERT, values | _columns([event.name for event in events]))
    return {(row.account_id, row.source, row.event_id) for row in rows}


async def list_digests(tx: Tx, names: Collection[Name]) -> dict[Name, bytes]:
    """What was counted under each of these names."""
    if not names:
        return {}
    rows = await tx.execute(_DIGESTS, _columns(names))
    return {(row.account_id, row.source, row.event_id): bytes(row.digest) for row in rows}


async def delete_before(tx: Tx, before: datetime, most: int) -> int:
    """Returns how many."""
    result = await tx.execute(_DELETE, {"before": before, "most": most})
    count: int = result.rowcount  # type: ignore[attr-defined]  # a DELETE has one
    return count


def _columns(names: Collection[Name]) -> dict[str, list[str]]:
    return {
        "accounts": [account for account, _, _ in names],
        "sources": [source for _, source, _ in names],
        "ids": [event_id for _, _, event_id in names],
    }
