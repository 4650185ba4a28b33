"""Statements on the ids of external usage. Every one names the account, but for the purge of old ones."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from portal.core.columns import INSTANT
from portal.core.database import Tx
from portal.usage.external.events import CountedEvent, ExternalEvent, ExternalId

# In the order of the key, so that two callers with the same events wait for one another in line.
_INSERT = text("""
INSERT INTO external_events (account_id, source, event_id, request_id, occurred_at, digest, service_id, received_at)
SELECT account_id, source, event_id, request_id, occurred_at, digest, :service, :now
FROM unnest(:accounts ::text[], :sources ::text[], :ids ::text[], :requests ::text[], :instants, :digests ::bytea[])
    AS event (account_id, source, event_id, request_id, occurred_at, digest)
ORDER BY account_id, source, event_id ON CONFLICT DO NOTHING
RETURNING account_id, source, event_id
""").bindparams(bindparam("instants", type_=ARRAY(INSTANT)), bindparam("now", type_=INSTANT))
_COUNTED = text("""
SELECT account_id, source, event_id, request_id, digest FROM external_events
WHERE (account_id, source, event_id) IN (SELECT * FROM unnest(:accounts ::text[], :sources ::text[], :ids ::text[]))
""")
_DELETE = text("""
DELETE FROM external_events WHERE ctid IN (
    SELECT ctid FROM external_events WHERE occurred_at < :before
    ORDER BY occurred_at LIMIT :limit FOR UPDATE SKIP LOCKED
)
""").bindparams(bindparam("before", type_=INSTANT))


async def insert_new(tx: Tx, events: Sequence[ExternalEvent], service_token_id: str) -> set[ExternalId]:
    """Insert the ids of events; returns those that were not there. Waits for others who insert the same."""
    values = {
        "service": service_token_id,
        "now": tx.now,
        "requests": [event.request_id for event in events],
        "instants": [event.occurred_at for event in events],
        "digests": [event.digest for event in events],
    }
    rows = await tx.execute(_INSERT, values | _arrays([event.external_id for event in events]))
    return {(row.account_id, row.source, row.event_id) for row in rows}


async def list_counted(tx: Tx, ids: Collection[ExternalId]) -> dict[ExternalId, CountedEvent]:
    """Return what was counted under each of these ids."""
    if not ids:
        return {}
    rows = await tx.execute(_COUNTED, _arrays(ids))
    return {(row.account_id, row.source, row.event_id): CountedEvent(row.request_id, bytes(row.digest)) for row in rows}


async def delete_before(tx: Tx, before: datetime, limit: int) -> int:
    """Delete at most `limit` ids of events before an instant, the oldest first. Returns how many."""
    result = await tx.execute(_DELETE, {"before": before, "limit": limit})
    count: int = result.rowcount  # type: ignore[attr-defined]  # a DELETE has one
    return count


def _arrays(ids: Collection[ExternalId]) -> dict[str, list[str]]:
    return {
        "accounts": [account for account, _, _ in ids],
        "sources": [source for _, source, _ in ids],
        "ids": [event_id for _, _, event_id in ids],
    }
