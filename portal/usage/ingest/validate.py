"""Batches from the bus to rows for the database, without any I/O: what cannot be counted is set apart with its reason.

One bad record costs its batch nothing: the batch is taken apart, and only that record is set apart.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from portal.usage.records import (
    RESOURCE_MOST,
    PoisonBatch,
    UsageRecord,
    decode_apart,
    decode_batch,
    encode_batch,
    occurred_at,
)
from portal.usage.rules import EARLIEST

MALFORMED, CONFLICT, FUTURE, LATE, REFUSED = "MALFORMED", "CONFLICT", "FUTURE", "LATE", "REFUSED"
DETAIL_MOST = 500
# Behind the array header of a batch: no number of ours has a zero byte, so that one is in a text or in a large cost.
_HEADER = 5

EventKey = tuple[str, str]
"""(account_id, request_id)"""
Named = tuple[str, date, str]
"""(account_id, day, resource)"""
StagedRow = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Suspect:
    """What is not counted. `body` is a batch: of the one record, or the whole that nobody can take apart.

    Only `body` is exact: PostgreSQL stores U+0000 in no text, and a suspect that it refused would hold up its batch.
    """

    reason: str
    detail: str
    body: bytes
    account_id: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class SecretUsed:
    """The newest use of a secret, with its newest address that is told."""

    key_id: str
    at: datetime
    address: str


@dataclass(slots=True)
class Sifted:
    """Rows in the order of `store_ingest.STAGED`, one an event; `named` is every resource of every day in them.

    `rivals` came with the id of one of the rows and another content: which of them is counted, the database knows.
    """

    rows: dict[EventKey, StagedRow] = field(default_factory=dict)
    records: dict[EventKey, UsageRecord] = field(default_factory=dict)
    rivals: list[tuple[StagedRow, UsageRecord]] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)
    uses: dict[tuple[str, str], SecretUsed] = field(default_factory=dict)
    named: set[Named] = field(default_factory=set)

    def suspect(self, record: UsageRecord, reason: str, detail: str) -> None:
        body = encode_batch([record])
        account_id, request_id = _storable(record.account_id), _storable(record.request_id)
        self.suspects.append(Suspect(reason, detail[:DETAIL_MOST], body, account_id, request_id))


def sift(batches: Iterable[bytes], latest: datetime, earliest: datetime = EARLIEST) -> Sifted:
    """Each event once. Events after `latest` are suspects, whose clock cannot be right, and those before `earliest`."""
    sifted = Sifted()
    for batch in batches:
        _take(sifted, _records_of(sifted, batch), (earliest, latest))
    return sifted


def _records_of(sifted: Sifted, batch: bytes) -> list[UsageRecord]:
    try:
        records = decode_batch(batch)
    except PoisonBatch:
        records = _records_apart(sifted, batch)
    if batch.find(0, _HEADER) < 0:
        return records
    for record in records:
        if _has_zero(record):
            sifted.suspect(record, MALFORMED, "A text in it has U+0000.")
    return [record for record in records if not _has_zero(record)]


def _records_apart(sifted: Sifted, batch: bytes) -> list[UsageRecord]:
    try:
        parts = decode_apart(batch)
    except PoisonBatch as error:
        sifted.suspects.append(Suspect(MALFORMED, str(error)[:DETAIL_MOST], batch))
        return []
    broken = [part for part in parts if not isinstance(part, UsageRecord)]
    sifted.suspects += [Suspect(MALFORMED, detail[:DETAIL_MOST], body) for body, detail in broken]
    return [part for part in parts if isinstance(part, UsageRecord)]


def _has_zero(record: UsageRecord) -> bool:
    """Resources are what callers say, so that character is replaced in them; in all others it is no text of ours."""
    texts = (record.account_id, record.key_id, record.secret_id, record.environment, record.code, record.period)
    return any("\0" in text for text in (*texts, record.request_id, record.ip))


def _storable(text: str) -> str:
    return text.replace("\0", "\ufffd")


def _take(sifted: Sifted, records: Iterable[UsageRecord], bounds: tuple[datetime, datetime]) -> None:
    earliest, latest = bounds
    rows, kept, named = sifted.rows, sifted.records, sifted.named
    for record in records:
        request_id, account_id = record.request_id, record.account_id
        try:
            at = occurred_at(request_id)
        except ValueError as error:
            sifted.suspect(record, MALFORMED, f"{error}.")
            continue
        if not earliest <= at <= latest:
            reason = FUTURE if at > latest else LATE if at >= EARLIEST else MALFORMED
            sifted.suspect(record, reason, f"It would have happened at {at:%Y-%m-%d}.")
            continue
        resource = _storable(record.resource[:RESOURCE_MOST])
        row = (
            *(account_id, at, request_id, record.key_id, record.secret_id),
            *(record.environment, resource, record.code, record.cost, record.period),
        )
        event = (account_id, request_id)
        known = rows.get(event)
        if known is None:
            rows[event], kept[event] = row, record
            named.add((account_id, at.date(), resource))
            _note_use(sifted, record, at)
        elif known != row:
            sifted.rivals.append((row, record))


def _note_use(sifted: Sifted, record: UsageRecord, at: datetime) -> None:
    secret = (record.account_id, record.secret_id)
    known = sifted.uses.get(secret)
    if known is None or at > known.at:
        address = record.ip or (known.address if known is not None else "")
        sifted.uses[secret] = SecretUsed(record.key_id, at, address)
