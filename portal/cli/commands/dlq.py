"""`portal dlq`: what could not be counted, in the quarantine and in the broker's dead letter queue.

An entry of the quarantine has a number; a dead letter has the id of its message.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import msgspec
import typer

from portal.cli.target import DataOption, settings_of
from portal.core.errors import NotFound, PortalError
from portal.core.messaging.bus import USAGE_RECORDED
from portal.core.rabbit import DeadLetter, DeadLetters
from portal.runtime import Container, open_container
from portal.usage import (
    PoisonBatch,
    Quarantined,
    count_in,
    decode_batch,
    delete_quarantined,
    find_quarantined,
    list_quarantined,
    replay_quarantined,
    sync_quota_counters,
)

MAX_LISTED = 1_000
MAX_RECORDS_SHOWN = 20
MAX_BYTES_SHOWN = 64
LAGGING = "Quota counters could not be raised: {}. They follow with each account's next usage."
app = typer.Typer(help="Look at, replay or drop what could not be counted.", no_args_is_help=True)
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AllOption = Annotated[bool, typer.Option("--all", help="All entries.")]
Ids = Annotated[list[str] | None, typer.Argument(help="Ids as `portal dlq list` prints them.")]


@dataclass(frozen=True, slots=True)
class Selection:
    """The entries that a command is about: numbers of the quarantine, ids of dead letters; None is all of them."""

    numbers: Sequence[int] | None
    letters: Sequence[str] | None

    @classmethod
    def of(cls, ids: Sequence[str] | None) -> Self:
        """Sort ids by where they belong. Raises BadParameter for what is neither."""
        if ids is None:
            return cls(None, None)
        if wrong := next((text for text in ids if not text.isdecimal() and not text.startswith("msg_")), None):
            raise typer.BadParameter(f"{wrong!r} is not an id", param_hint="ID")
        return cls(
            [int(text) for text in {*ids} if text.isdecimal()], [text for text in {*ids} if not text.isdecimal()]
        )

    @property
    def has_numbers(self) -> bool:
        return self.numbers is None or bool(self.numbers)

    @property
    def has_letters(self) -> bool:
        return self.letters is None or bool(self.letters)

    @property
    def count(self) -> int:
        return len(self.numbers or ()) + len(self.letters or ())


@app.callback()
def dlq() -> None:
    """Examine what could not be counted."""


@app.command("list")
def list_entries(
    data: DataOption = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_LISTED, help="Most entries to list of each place.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """List the quarantine and the dead letters, oldest first."""
    entries = asyncio.run(_list(data, limit))
    if as_json:
        typer.echo(json.dumps([_document(entry) for entry in entries]))
        return
    for entry in entries:
        typer.echo(_summary(entry))
    typer.echo(f"{len(entries)} in all." if entries else "None: everything is counted.")


@app.command("show")
def show(
    entry_id: Annotated[str, typer.Argument(metavar="ID")], data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one entry with the records in it."""
    entry = asyncio.run(_show(data, entry_id))
    if as_json:
        typer.echo(json.dumps(_full_document(entry)))
        return
    for name, value in _full_document(entry).items():
        typer.echo(f"{name + ':':<16} {value if isinstance(value, str) else json.dumps(value)}")


@app.command("replay")
def replay(
    ids: Ids = None, everything: AllOption = False, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Try to count entries again: quarantined ones at once, dead letters by sending them back to their queue."""
    counts = asyncio.run(_replay(data, _select(ids, everything=everything)))
    if as_json:
        typer.echo(json.dumps(counts))
    else:
        typer.echo(f"{counts['counted']} counted, {counts['sent']} sent back, {counts['kept']} still refused.")
    if counts["kept"]:
        raise typer.Exit(1)


@app.command("drop")
def drop(ids: Ids = None, everything: AllOption = False, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Drop entries for good: they will never be counted."""
    dropped = asyncio.run(_drop(data, _select(ids, everything=everything)))
    typer.echo(json.dumps({"dropped": dropped}) if as_json else f"{dropped} dropped.")


def _select(ids: list[str] | None, *, everything: bool) -> Selection:
    """Return the selected entries. Raises BadParameter unless either ids or --all was given."""
    if bool(ids) == everything:
        raise typer.BadParameter("name ids, or use --all", param_hint="ID")
    return Selection.of(None if everything else ids)


async def _list(data: Path | None, limit: int) -> Sequence[Any]:
    async with open_container(settings_of(data)) as container:
        async with container.database.transaction() as tx:
            quarantined = await list_quarantined(tx, limit)
        letters = _letters(container)
        return [*quarantined, *(await letters.list(limit) if letters else ())]


async def _show(data: Path | None, entry_id: str) -> Any:
    async with open_container(settings_of(data)) as container:
        if entry_id.isdecimal():
            async with container.database.transaction() as tx:
                row = await find_quarantined(tx, int(entry_id))
            if row is not None:
                return row
        elif (letters := _letters(container)) is not None:
            for letter in await letters.list(MAX_LISTED):
                if letter.id == entry_id:
                    return letter
    raise NotFound(f"There is no {entry_id!r}.", hint="See `portal dlq list`.")


async def _replay(data: Path | None, selection: Selection) -> dict[str, int]:
    async with open_container(settings_of(data)) as container:
        counts = {"counted": 0, "kept": 0, "sent": 0}
        if selection.has_numbers:
            replayed = await replay_quarantined(container.database, selection.numbers)
            counts |= {"counted": replayed.counted, "kept": replayed.rejected}
            if (error := await sync_quota_counters(container.limiter.raise_used, replayed.totals)) is not None:
                typer.echo(LAGGING.format(error), err=True)
        if (letters := _selected_letters(container, selection)) is not None:
            counts["sent"] = await letters.replay(selection.letters)
        _check_found(selection, sum(counts.values()))
        return counts


async def _drop(data: Path | None, selection: Selection) -> int:
    async with open_container(settings_of(data)) as container:
        dropped = 0
        if selection.has_numbers:
            async with container.database.transaction() as tx:
                dropped += await delete_quarantined(tx, selection.numbers)
        if (letters := _selected_letters(container, selection)) is not None:
            dropped += await letters.drop(selection.letters)
        _check_found(selection, dropped)
        return dropped


def _check_found(selection: Selection, found: int) -> None:
    if found < selection.count:
        raise NotFound(f"{selection.count - found} of those do not exist.", hint="See `portal dlq list`.")


def _selected_letters(container: Container, selection: Selection) -> DeadLetters | None:
    """Return the dead letters if some may be selected. Raises PortalError where some are named without a broker."""
    letters = _letters(container) if selection.has_letters else None
    if letters is None and selection.letters:
        raise PortalError("Dead letters are kept by the broker, and none is configured.", hint="Set PORTAL_AMQP_URL.")
    return letters


def _letters(container: Container) -> DeadLetters | None:
    settings = container.settings
    if settings.amqp_url is None:
        return None
    return DeadLetters(settings.amqp_url.get_secret_value(), USAGE_RECORDED, settings.dead_letter_days)


def _document(entry: Quarantined | DeadLetter) -> dict[str, Any]:
    """Return an entry as `--json` prints it, without its content."""
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


def _summary(entry: Quarantined | DeadLetter) -> str:
    """Return an entry as one line."""
    document = _document(entry)
    subject = " ".join(str(document[name]) for name in ("accountId", "requestId") if document.get(name))
    begin = f"{document['id']:<32} {(document['at'] or '-')[:19]}  {document['reason']:<10}"
    return f"{begin} {subject or document['records']}  {document['detail']}"


def _full_document(entry: Quarantined | DeadLetter) -> dict[str, Any]:
    """Return an entry with its first records, or with its first bytes where it is no batch."""
    try:
        records = [msgspec.to_builtins(_fields(record)) for record in decode_batch(entry.body)[:MAX_RECORDS_SHOWN]]
        return _document(entry) | {"content": records}
    except PoisonBatch:
        return _document(entry) | {"content": entry.body[:MAX_BYTES_SHOWN].hex(" ")}


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}
