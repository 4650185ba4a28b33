"""Validate batches from the bus without any I/O: one row an event for the database, the rest rejected with its reason.

One bad record costs its batch nothing: the batch is taken apart, and only that record is rejected.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from portal.usage.records import (
    MAX_RESOURCE,
    BrokenRecord,
    PoisonBatch,
    UsageRecord,
    decode_apart,
    decode_batch,
    denial_text,
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
AccountDay = tuple[str, date]
"""(account_id, day in UTC)"""
ResourceKey = tuple[str, date, str]
"""(account_id, day in UTC, resource)"""
StagedRow = tuple[Any, ...]
"""The values of one event in the order of `store.STAGED`: what COPY takes."""


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """What is not counted. `body` is a batch: of the one record, or the whole that nobody can take apart.

    Only `body` is exact: PostgreSQL stores U+0000 in no text, and a rejection that it refused would hold up its batch.
    """

    reason: str
    detail: str
    body: bytes
    account_id: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewestUse:
    """The newest use of a secret, with the newest address that a gateway passed on."""

    key_id: str
    at: datetime
    address: str


@dataclass(slots=True)
class ValidatedBatch:
    """One row an event, with the record it came from; `resources` is every resource of every day in them.

    `conflicting_duplicates` have the id of one of the rows and another content: the database knows which is counted.
    """

    rows: dict[EventKey, StagedRow] = field(default_factory=dict)
    records: dict[EventKey, UsageRecord] = field(default_factory=dict)
    conflicting_duplicates: list[tuple[StagedRow, UsageRecord]] = field(default_factory=list)
    rejected: list[RejectedRecord] = field(default_factory=list)
    newest_uses: dict[tuple[str, str], NewestUse] = field(default_factory=dict)
    """By account and secret."""
    resources: set[ResourceKey] = field(default_factory=set)

    def reject(self, record: UsageRecord, reason: str, detail: str) -> None:
        """Set a record apart under one of the reasons of this module."""
        body = encode_batch([record])
        account_id, request_id = _storable(record.account_id), _storable(record.request_id)
        self.rejected.append(RejectedRecord(reason, detail[:MAX_DETAIL], body, account_id, request_id))


def validate_batches(batches: Iterable[bytes], latest: datetime, earliest: datetime = EARLIEST) -> ValidatedBatch:
    """Validate batches, each event once. Events before `earliest` or after `latest` (a clock is wrong) are rejected."""
    validated = ValidatedBatch()
    for batch in batches:
        _add_records(validated, _decode(validated, batch), earliest, latest)
    return validated


def _decode(validated: ValidatedBatch, batch: bytes) -> list[UsageRecord]:
    try:
        records = decode_batch(batch)
    except PoisonBatch:
        records = _decode_apart(validated, batch)
    if batch.find(0, _HEADER) < 0:
        return records
    for record in records:
        if _has_zero(record):
            validated.reject(record, MALFORMED, "A text in it has U+0000.")
    return [record for record in records if not _has_zero(record)]


def _decode_apart(validated: ValidatedBatch, batch: bytes) -> list[UsageRecord]:
    try:
        parts = decode_apart(batch)
    except PoisonBatch as error:
        validated.rejected.append(RejectedRecord(MALFORMED, str(error)[:MAX_DETAIL], batch))
        return []
    records = []
    for part in parts:
        if isinstance(part, BrokenRecord):
            validated.rejected.append(RejectedRecord(MALFORMED, part.detail[:MAX_DETAIL], part.batch))
        else:
            records.append(part)
    return records


def _has_zero(record: UsageRecord) -> bool:
    """Return whether a text of ours has U+0000.

    In what callers say, the resource and the address, it is replaced instead: an answered check is counted.
    """
    texts = (record.account_id, record.key_id, record.secret_id, record.environment, record.code, record.period)
    return any("\0" in text for text in (*texts, record.request_id))


def _storable(text: str) -> str:
    """Return the text without U+0000, the only character that PostgreSQL stores in none."""
    return text.replace("\0", "\ufffd")


def _add_records(
    validated: ValidatedBatch, records: Iterable[UsageRecord], earliest: datetime, latest: datetime
) -> None:
    rows, records_by_event, resources = validated.rows, validated.records, validated.resources
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
            *(record.environment, resource, record.code, record.cost, record.period, denial_text(record.denial)),
        )
        event = (account_id, request_id)
        known = rows.get(event)
        if known is None:
            rows[event], records_by_event[event] = row, record
            resources.add((account_id, at.date(), resource))
            _add_use(validated, record, at)
        elif known != row:
            validated.conflicting_duplicates.append((row, record))


def _add_use(validated: ValidatedBatch, record: UsageRecord, at: datetime) -> None:
    secret = (record.account_id, record.secret_id)
    known = validated.newest_uses.get(secret)
    if known is None or at > known.at:
        address = _storable(record.ip) or (known.address if known is not None else "")
        validated.newest_uses[secret] = NewestUse(record.key_id, at, address)
