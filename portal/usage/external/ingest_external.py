"""Count external usage: what a product metered itself and sends as CloudEvents, each (account, source, id) once.

The id is stored in the transaction that counts the event, so a retry after any crash finds either both or neither. The
event becomes a row of `usage_events` like a check that was answered VALID, under a request id that is made of its time,
source and id; buckets, series, periods and invoices know no difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.exc import IntegrityError

from portal.core.database import Database, Tx
from portal.usage.external import store
from portal.usage.external.events import CountedEvent, ExternalEvent, ExternalId, ExternalResult, ExternalStatus
from portal.usage.ingest import PeriodTotal, ResourceCap, StagedRow, insert_staged, stage_events
from portal.usage.records import OTHER, VALID
from portal.usage.retention import (
    RAW_TABLE,
    Retention,
    create_partitions,
    delete_in_batches,
    is_partition_missing,
    oldest_not_dropped,
)
from portal.usage.rules import month_of

PURGE_BATCH_SIZE = 10_000


@dataclass(frozen=True, slots=True)
class ExternalBatchResult:
    """What became of each event in its order, and totals of the billing periods that grew."""

    results: list[ExternalResult]
    totals: list[PeriodTotal] = field(default_factory=list)


async def ingest_external(
    database: Database, events: Sequence[ExternalEvent], service_token_id: str, cap: ResourceCap
) -> ExternalBatchResult:
    """Count events in one transaction. Raises database errors: then nothing was counted."""
    try:
        return await _count_in_transaction(database, events, service_token_id, cap)
    except IntegrityError as error:
        if not is_partition_missing(error):
            raise
    await create_partitions(database, sorted({month_of(event.occurred_at) for event in events}))
    return await _count_in_transaction(database, events, service_token_id, cap)


async def find_counted(tx: Tx, events: Sequence[ExternalEvent]) -> dict[ExternalId, ExternalResult]:
    """Return those that were counted before by their id: DUPLICATE, or CONFLICT with what was counted."""
    counted = await store.list_counted(tx, sorted({event.external_id for event in events}))
    return {
        event.external_id: _repeated(event, counted[event.external_id])
        for event in events
        if event.external_id in counted
    }


async def purge_external_ids(database: Database, retention: Retention, now: datetime) -> int:
    """Delete the ids of months whose raw events are gone; their events are too old to be taken again.

    Returns how many.
    """
    before = oldest_not_dropped(now, retention.by_table()[RAW_TABLE])
    return await delete_in_batches(
        database, PURGE_BATCH_SIZE, lambda tx: store.delete_before(tx, before, PURGE_BATCH_SIZE)
    )


async def _count_in_transaction(
    database: Database, events: Sequence[ExternalEvent], service_token_id: str, cap: ResourceCap
) -> ExternalBatchResult:
    """Count the first event of each id that is new; compare the others with what was counted under theirs."""
    async with database.transaction() as tx:
        first: dict[ExternalId, ExternalEvent] = {}
        for event in events:
            first.setdefault(event.external_id, event)
        new = await store.insert_new(tx, [*first.values()], service_token_id)
        counted = await store.list_counted(tx, [external_id for external_id in first if external_id not in new])
        new_events = [event for external_id, event in first.items() if external_id in new]
        capped = await cap.apply(tx, {event.resource_key for event in new_events})
        rows = [(*_row(event), OTHER if event.resource_key in capped.overflow else None) for event in new_events]
        totals = await _insert(tx, rows, has_overflow=bool(capped.overflow))
    cap.remember(capped.names)
    results = []
    for event in events:
        earlier = first[event.external_id]
        if event.external_id in new and earlier is event:
            results.append(ExternalResult(ExternalStatus.COUNTED, event.request_id))
        else:
            known = counted.get(event.external_id) or CountedEvent(earlier.request_id, earlier.digest)
            results.append(_repeated(event, known))
    return ExternalBatchResult(results, totals)


async def _insert(tx: Tx, rows: Sequence[StagedRow], *, has_overflow: bool) -> list[PeriodTotal]:
    if not rows:
        return []
    await stage_events(tx, rows, has_overflow=True)
    _, totals = await insert_staged(tx, has_overflow=has_overflow)
    return totals


def _repeated(event: ExternalEvent, counted: CountedEvent) -> ExternalResult:
    return ExternalResult(counted.status_of(event), counted.request_id)


def _row(event: ExternalEvent) -> StagedRow:
    """Return the values in the order in which ingest stages them. There is no secret, and nothing was denied."""
    return (
        *(event.account_id, event.occurred_at, event.request_id, event.key_id, ""),
        *(event.environment, event.resource, VALID, event.cost, event.period, None),
    )
