"""`portal journal`: what the journal of a dead node still holds."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from portal.cli.progress import Advance, progress
from portal.cli.target import DataOption, settings_of
from portal.core.errors import PortalError
from portal.core.messaging.bus import Bus, Handler
from portal.runtime import open_container, subscribe_ingest
from portal.usage import JournalRecovered, journal_bytes, kept_bytes, recover_journal, ship_again

app = typer.Typer(help="Ship the usage journal of a dead node.", no_args_is_help=True)


@app.callback()
def journal() -> None:
    """Ship the usage journal of a dead node."""


@app.command("ship")
def ship(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The node's journal, or the folder that contains it.")],
    data: DataOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also what was shipped before and is still kept; nothing counts twice.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ship everything in the folder. Refuses the folder of a running process; exits 1 if a file is damaged.

    With --again, after PostgreSQL was restored: everything that the folder still has is sent once more and nothing is
    moved, so the folder may be that of a running process.
    """
    inside = folder / "journal"
    place = inside if inside.is_dir() else folder
    if not place.is_dir():
        raise PortalError(f"{place} is no folder.", hint="Name a node's journal, PORTAL_DATA/journal.")
    shipped = asyncio.run(_ship_again(place, data) if again else _ship(place, data))
    if as_json:
        damaged = [str(path) for path in shipped.damaged]
        typer.echo(json.dumps({"shipped": shipped.shipped, "cutBytes": shipped.cut_bytes, "damaged": damaged}))
    else:
        typer.echo(f"{shipped.shipped:,} records were shipped, {shipped.cut_bytes:,} unfinished bytes cut off.")
        for path in shipped.damaged:
            typer.echo(f"{path} is damaged: everything before the damage was shipped, the rest is kept.", err=True)
    if shipped.damaged:
        raise typer.Exit(1)


async def _ship(folder: Path, data: Path | None) -> JournalRecovered:
    async with open_container(settings_of(data)) as container:
        subscribe_ingest(container)
        with progress("Shipping bytes", journal_bytes(folder)) as advance:
            return await recover_journal(
                folder, _Watched(container.usage_bus, advance), container.settings.shipper_batch
            )


async def _ship_again(folder: Path, data: Path | None) -> JournalRecovered:
    async with open_container(settings_of(data)) as container:
        subscribe_ingest(container)
        with progress("Shipping bytes", kept_bytes(folder)) as advance:
            bus = _Watched(container.usage_bus, advance)
            return await ship_again(folder, bus, container.settings.shipper_batch)


class _Watched:
    """A bus that reports how many bytes it took."""

    def __init__(self, bus: Bus, advance: Advance) -> None:
        self._bus = bus
        self._advance = advance

    async def publish(self, subject: str, body: bytes) -> None:
        await self._bus.publish(subject, body)
        self._advance(len(body))

    def subscribe(self, subject: str, handler: Handler) -> None:
        self._bus.subscribe(subject, handler)

    async def run(self, stop: asyncio.Event) -> None:
        await self._bus.run(stop)

    async def waiting(self, subject: str) -> int:
        return await self._bus.waiting(subject)
