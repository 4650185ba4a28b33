"""Entries of the quarantine and dead letters, as `portal dlq` prints them; and which of them are meant."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import msgspec
import typer

from portal.core.rabbit import DeadLetter
from portal.usage import PoisonBatch, Quarantined, count_in, decode_batch

RECORDS_SHOWN = 20
BYTES_SHOWN = 64


@dataclass(frozen=True, slots=True)
class Places:
    """None: all of that place. Numbers are of the quarantine, texts of the dead queue."""

    numbers: Sequence[int] | None
    letters: Sequence[str] | None

    @classmethod
    def of(cls, ids: Sequence[str] | None) -> Self:
        if ids is None:
            return cls(None, None)
        if wrong := next((one for one in ids if not one.isdecimal() and not one.startswith("msg_")), None):
            raise typer.BadParameter(f"{wrong!r} is none", param_hint="ID")
        return cls([int(one) for one in {*ids} if one.isdecimal()], [one for one in {*ids} if not one.isdecimal()])

    @property
    def has_numbers(self) -> bool:
        return self.numbers is None or bool(self.numbers)

    @property
    def has_letters(self) -> bool:
        return self.letters is None or bool(self.letters)

    @property
    def named(self) -> int:
        return len(self.numbers or ()) + len(self.letters or ())


def document_of(entry: Quarantined | DeadLetter) -> dict[str, Any]:
    """Without its body."""
    document: dict[str, Any] = {"bytes": len(entry.body), "records": count_in(entry.body)}
    if isinstance(entry, DeadLetter):
        at = entry.published_at.isoformat() if entry.published_at else None
        return {"id": entry.id, "place": "queue", "at": at, "reason": "DEAD", "detail": entry.reason} | document
    return {
        "id": str(entry.id),
        "place": "quarantine",
        "at": entry.quarantined_at.isoformat(),
        "reason": entry.reason,
        "detail": entry.detail,
        "accountId": entry.account_id,
        "requestId": entry.request_id,
    } | document


def summary_of(entry: Quarantined | DeadLetter) -> str:
    """One line."""
    told = document_of(entry)
    subject = " ".join(str(told[name]) for name in ("accountId", "requestId") if told.get(name))
    begin = f"{told['id']:<32} {(told['at'] or '-')[:19]}  {told['reason']:<10}"
    return f"{begin} {subject or told['records']}  {told['detail']}"


def shown_in_full(entry: Quarantined | DeadLetter) -> dict[str, Any]:
    """With its first records, or its first bytes where it is no batch."""
    try:
        records = [msgspec.to_builtins(_named(record)) for record in decode_batch(entry.body)[:RECORDS_SHOWN]]
        return document_of(entry) | {"content": records}
    except PoisonBatch:
        return document_of(entry) | {"content": entry.body[:BYTES_SHOWN].hex(" ")}


def _named(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}
