"""External usage: what a product metered itself and tells in CloudEvents, each (account, source, id) counted once.

The id is stored in the transaction that counts the event, so a retry after any crash finds either both or neither. The
event becomes a row of `usage_events` like a check that was answered VALID, under a request id that is made of its time,
source and id; buckets, series, periods and invoices know no difference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from sqlalchemy.exc import IntegrityError

from portal.core.clock import to_microseconds
from portal.core.database import Database, Tx
from portal.core.ids import encode_128
from portal.usage.external import store as external_store
from portal.usage.ingest import store as store_ingest
from portal.usage.ingest.ingest import is_partition_missing
from portal.usage.ingest.resource_cap import Day, ResourceNames
from portal.usage.ingest.store import PeriodUse
from portal.usage.ingest.validate import ResourceKey, StagedRow
from portal.usage.records import OTHER, REQUEST_PREFIX, VALID
from portal.usage.retention.batches import delete_in_batches
from portal.usage.retention.partitions import create_partitions
from portal.usage.retention.retention import EVENTS, Retention, oldest_not_dropped
from portal.usage.rules import month_of

PURGE_BATCH_SIZE = 10_000


@dataclass(frozen=True, slots=True)
class ExternalEvent:
    """`key_id` is empty for usage of the account as such; `period` is the billing period that `occurred_at` lies in."""

    account_id: str
    source: str
    event_id: str
    occurred_at: datetime
    key_id: str
    environment: str
    resource: str
    cost: int
    period: str

    @property
    def name(self) -> tuple[str, str, str]:
        return self.account_id, self.source, self.event_id

    @property
    def named(self) -> ResourceKey:
        return self.account_id, self.occurred_at.date(), self.resource

    @property
    def request_id(self) -> str:
        """72 bits of a hash stand where a check has its node and counter."""
        ending = int.from_bytes(sha256(f"{self.source}\0{self.event_id}".encode()).digest()[:9], "big")
        return REQUEST_PREFIX + encode_128(to_microseconds(self.occurred_at) << 72 | ending)

    @property
    def digest(self) -> bytes:
        """Equal for the same content. The period is no part of it: the account's time zone may change."""
        content = (self.occurred_at.isoformat(), self.key_id, self.environment, self.resource, str(self.cost))
        return sha256("\0".join(content).encode()).digest()


class Verdict(StrEnum):
    COUNTED = "counted"
    DUPLICATE = "duplicate"
    """The same event was counted before; nothing was added."""
    CONFLICT = "conflict"
    """Another content was counted under this id; nothing was added."""


@dataclass(frozen=True, slots=True)
class ExternalCount:
    """A verdict on each event in its order, and totals of the billing periods that grew."""

    verdicts: list[Verdict]
    totals: list[PeriodUse]


async def count_external(
    database: Database, events: Sequence[ExternalEvent], service_id: str, names: ResourceNames
) -> ExternalCount:
    """One transaction for all. Raises database errors: then nothing was counted."""
    try:
        return await _in_transaction(database, events, service_id, names)
    except IntegrityError as error:
        if not is_partition_missing(error):
            raise
    await create_partitions(database, sorted({month_of(event.occurred_at) for event in events}))
    return await _in_transaction(database, events, service_id, names)


async def known_external(tx: Tx, events: Sequence[ExternalEvent]) -> dict[tuple[str, str, str], Verdict]:
    """By name, those that were counted before: DUPLICATE, or CONFLICT with what was counted."""
    digests = await external_store.list_digests(tx, sorted({event.name for event in events}))
    return {event.name: _repeated(event, digests[event.name]) for event in events if event.name in digests}


async def purge_external_ids(database: Database, retention: Retention, now: datetime) -> int:
    """Ids of months whose raw events are gone; their events are too old to be taken again. Returns how many."""
    before = oldest_not_dropped(now, retention.by_table()[EVENTS])
    return await delete_in_batches(
        database, PURGE_BATCH_SIZE, lambda tx: external_store.delete_before(tx, before, PURGE_BATCH_SIZE)
    )


async def _in_transaction(
    database: Database, events: Sequence[ExternalEvent], service_id: str, names: ResourceNames
) -> ExternalCount:
    async with database.transaction() as tx:
        first: dict[tuple[str, str, str], ExternalEvent] = {}
        for event in events:
            first.setdefault(event.name, event)
        new = await external_store.insert_new(tx, [*first.values()], service_id)
        known = await external_store.list_digests(tx, [name for name in first if name not in new])
        found, totals = await _count(tx, [event for name, event in first.items() if name in new], names)
    names.remember(found)
    verdicts = []
    for event in events:
        if event.name in new and first[event.name] is event:
            verdicts.append(Verdict.COUNTED)
        else:
            verdicts.append(_repeated(event, known.get(event.name) or first[event.name].digest))
    return ExternalCount(verdicts, totals)


def _repeated(event: ExternalEvent, digest: bytes) -> Verdict:
    return Verdict.DUPLICATE if digest == event.digest else Verdict.CONFLICT


async def _count(
    tx: Tx, events: Sequence[ExternalEvent], names: ResourceNames
) -> tuple[Mapping[Day, frozenset[str]], list[PeriodUse]]:
    """What to remember of resources once it is committed, and totals of the periods."""
    if not events:
        return {}, []
    others, found = await names.beyond(tx, {event.named for event in events})
    rows = [(*_row(event), OTHER if event.named in others else None) for event in events]
    await store_ingest.stage_events(tx, rows, has_others=True)
    _, totals = await store_ingest.insert_staged(tx, has_others=bool(others))
    return found, totals


def _row(event: ExternalEvent) -> StagedRow:
    """In the order of store_ingest.STAGED. There is no secret."""
    return (
        *(event.account_id, event.occurred_at, event.request_id, event.key_id, ""),
        *(event.environment, event.resource, VALID, event.cost, event.period),
    )
