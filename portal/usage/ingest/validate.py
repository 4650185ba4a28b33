"""Batches from the bus to rows for the database, without any I/O: what cannot be counted is set apart with its reason.

One bad record costs its batch nothing: the batch is taken apart, and only that record is set apart.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from portal.usage.records import (
    MAX_RESOURCE,
    PoisonBatch,
    UsageRecord,
    decode_apart,
    decode_batch,
    encode_batch,
    occurred_at,
)
from portal.usage.rules import EARLIEST

MALFORMED, CONFLICT, FUTURE, LATE, REFUSED = "MALFORMED", "CONFLICT", "FUTURE", "LATE", "REFUSED"
MAX_DETAIL = 500
# Behind the array header of a batch: no number of ours has a zero byte, so that one is in a text or in a large cost.
_HEADER = 5

EventKey = tuple[str, str]
"""(account_id, request_id)"""
ResourceKey = tuple[str, date, str]
"""(account_id, day, resource)"""
StagedRow = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class RejectedRecord:
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
class ValidatedBatch:
    """Rows in the order of `store_ingest.STAGED`, one an event; `named` is every resource of every day in them.

    `rivals` came with the id of one of the rows and another content: which of them is counted, the database knows.
    """

    rows: dict[EventKey, StagedRow] = field(default_factory=dict)
    records: dict[EventKey, UsageRecord] = field(default_factory=dict)
    conflicting_duplicates: list[tuple[StagedRow, UsageRecord]] = field(default_factory=list)
    rejected: list[RejectedRecord] = field(default_factory=list)
    uses: dict[tuple[str, str], SecretUsed] = field(default_factory=dict)
    named: set[ResourceKey] = field(default_factory=set)

    def reject(self, record: UsageRecord, reason: str, detail: str) -> None:
        body = encode_batch([record])
        account_id, request_id = _storable(record.account_id), _storable(record.request_id)
        self.rejected.append(RejectedRecord(reason, detail[:MAX_DETAIL], body, account_id, request_id))


def validate_batches(batches: Iterable[bytes], latest: datetime, earliest: datetime = EARLIEST) -> ValidatedBatch:
    """Each event once. Events after `latest` are suspects, whose clock cannot be right, and those before `earliest`."""
    validated = ValidatedBatch()
    for batch in batches:
        _take(validated, _records_of(validated, batch), (earliest, latest))
    return validated


def _records_of(validated: ValidatedBatch, batch: bytes) -> list[UsageRecord]:
    try:
        records = decode_batch(batch)
    except PoisonBatch:
        records = _records_apart(validated, batch)
    if batch.find(0, _HEADER) < 0:
        return records
    for record in records:
        if _has_zero(record):
            validated.reject(record, MALFORMED, "A text in it has U+0000.")
    return [record for record in records if not _has_zero(record)]


def _records_apart(validated: ValidatedBatch, batch: bytes) -> list[UsageRecord]:
    try:
        parts = decode_apart(batch)
    except PoisonBatch as error:
        validated.rejected.append(RejectedRecord(MALFORMED, str(error)[:MAX_DETAIL], batch))
        return []
    broken = [part for part in parts if not isinstance(part, UsageRecord)]
    validated.rejected += [RejectedRecord(MALFORMED, detail[:MAX_DETAIL], body) for body, detail in broken]
    return [part for part in parts if isinstance(part, UsageRecord)]


def _has_zero(record: UsageRecord) -> bool:
    """Resources are what callers say, so that character is replaced in them; in all others it is no text of ours."""
    texts = (record.account_id, record.key_id, record.secret_id, record.environment, record.code, record.period)
    return any("\0" in text for text in (*texts, record.request_id, record.ip))


def _storable(text: str) -> str:
    return text.replace("\0", "\ufffd")


def _take(validated: ValidatedBatch, records: Iterable[UsageRecord], bounds: tuple[datetime, datetime]) -> None:
    earliest, latest = bounds
    rows, kept, named = validated.rows, validated.records, validated.named
    for record in records:
        request_id, account_id = record.request_id, record.account_id
        try:
            at = occurred_at(request_id)
        except ValueError as error:
            validated.reject(record, MALFORMED, f"{error}.")
            continue
        if not earliest <= at <= latest:
            reason = FUTURE if at > latest else LATE if at >= EARLIEST else MALFORMED
            validated.reject(record, reason, f"It would have happened at {at:%Y-%m-%d}.")
            continue
        resource = _storable(record.resource[:MAX_RESOURCE])
        row = (
            *(account_id, at, request_id, record.key_id, record.secret_id),
            *(record.environment, resource, record.code, record.cost, record.period),
        )
        event = (account_id, request_id)
        known = rows.get(event)
        if known is None:
            rows[event], kept[event] = row, record
            named.add((account_id, at.date(), resource))
            _note_use(validated, record, at)
        elif known != row:
            validated.conflicting_duplicates.append((row, record))


def _note_use(validated: ValidatedBatch, record: UsageRecord, at: datetime) -> None:
    secret = (record.account_id, record.secret_id)
    known = validated.uses.get(secret)
    if known is None or at > known.at:
        address = record.ip or (known.address if known is not None else "")
        validated.uses[secret] = SecretUsed(record.key_id, at, address)
