"""`portal dlq`: what could not be counted, in the quarantine and in the broker's dead queue.

An entry of the quarantine is a number; a dead letter has the id of its message.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from portal.cli.commands.dlq_format import Places, document_of, shown_in_full, summary_of
from portal.cli.target import DataOption, settings_of
from portal.core.bus import USAGE_RECORDED
from portal.core.errors import NotFound, PortalError
from portal.core.rabbit import DeadLetters
from portal.runtime.container import Container, open_container
from portal.usage import delete_quarantined, find_quarantined, list_quarantined, replay_quarantined, sync_quota_counters

MAX_LISTED = 1_000
LAGGING = "Quota counters could not be raised: {}. They follow with each account's next usage."
app = typer.Typer(help="What could not be counted: look, replay, drop.", no_args_is_help=True)
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AllOption = Annotated[bool, typer.Option("--all", help="All of them.")]
Ids = Annotated[list[str] | None, typer.Argument(help="As `portal dlq list` prints them.")]


@app.callback()
def dlq() -> None:
    """What could not be counted."""


@app.command("list")
def list_entries(
    data: DataOption = None,
    most: Annotated[int, typer.Option(min=1, max=MAX_LISTED, help="How many of each place.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """List the quarantine and the dead letters, the oldest first."""
    entries = asyncio.run(_list(data, most))
    if as_json:
        typer.echo(json.dumps([document_of(entry) for entry in entries]))
        return
    for entry in entries:
        typer.echo(summary_of(entry))
    typer.echo(f"{len(entries)} in all." if entries else "Nothing: everything is counted.")


@app.command("show")
def show(
    entry_id: Annotated[str, typer.Argument(metavar="ID")], data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one entry with the records in it."""
    entry = asyncio.run(_show(data, entry_id))
    if as_json:
        typer.echo(json.dumps(shown_in_full(entry)))
        return
    for name, value in shown_in_full(entry).items():
        typer.echo(f"{name + ':':<16} {value if isinstance(value, str) else json.dumps(value)}")


@app.command("replay")
def replay(
    ids: Ids = None, everything: AllOption = False, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Count again: a quarantined entry at once, a dead letter by sending it back to its queue."""
    told = asyncio.run(_replay(data, _chosen(ids, everything=everything)))
    if as_json:
        typer.echo(json.dumps(told))
    else:
        typer.echo(f"{told['counted']} counted, {told['sent']} sent back, {told['kept']} still no usage.")
    if told["kept"]:
        raise typer.Exit(1)


@app.command("drop")
def drop(ids: Ids = None, everything: AllOption = False, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Drop for good: it will never be counted."""
    dropped = asyncio.run(_drop(data, _chosen(ids, everything=everything)))
    typer.echo(json.dumps({"dropped": dropped}) if as_json else f"{dropped} dropped.")


def _chosen(ids: list[str] | None, *, everything: bool) -> Places:
    """Raises BadParameter unless it is either ids or all."""
    if bool(ids) == everything:
        raise typer.BadParameter("name ids, or say --all", param_hint="ID")
    return Places.of(None if everything else ids)


async def _list(data: Path | None, most: int) -> Sequence[Any]:
    async with open_container(settings_of(data)) as container:
        async with container.database.transaction() as tx:
            quarantined = await list_quarantined(tx, most)
        letters = _letters(container)
        return [*quarantined, *(await letters.list(most) if letters else ())]


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


async def _replay(data: Path | None, chosen: Places) -> dict[str, int]:
    async with open_container(settings_of(data)) as container:
        told = {"counted": 0, "kept": 0, "sent": 0}
        if chosen.has_numbers:
            replayed = await replay_quarantined(container.database, chosen.numbers)
            told |= {"counted": replayed.counted, "kept": replayed.rejected}
            if (error := await sync_quota_counters(container.limiter.raise_used, replayed.totals)) is not None:
                typer.echo(LAGGING.format(error), err=True)
        if chosen.has_letters and (letters := _letters(container, is_needed=chosen.letters is not None)) is not None:
            told["sent"] = await letters.replay(chosen.letters)
        _check_found(chosen, sum(told.values()))
        return told


async def _drop(data: Path | None, chosen: Places) -> int:
    async with open_container(settings_of(data)) as container:
        dropped = 0
        if chosen.has_numbers:
            async with container.database.transaction() as tx:
                dropped += await delete_quarantined(tx, chosen.numbers)
        if chosen.has_letters and (letters := _letters(container, is_needed=chosen.letters is not None)) is not None:
            dropped += await letters.drop(chosen.letters)
        _check_found(chosen, dropped)
        return dropped


def _check_found(chosen: Places, found: int) -> None:
    if found < chosen.named:
        raise NotFound(f"{chosen.named - found} of those are not there.", hint="See `portal dlq list`.")


def _letters(container: Container, *, is_needed: bool = False) -> DeadLetters | None:
    settings = container.settings
    if settings.amqp_url is None:
        if is_needed:
            raise PortalError("Dead letters are at the broker.", hint="Set PORTAL_AMQP_URL.")
        return None
    return DeadLetters(settings.amqp_url.get_secret_value(), USAGE_RECORDED, settings.dead_letter_days)
