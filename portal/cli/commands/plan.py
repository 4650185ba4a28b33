"""`portal plan`: what usage costs on the plans of the catalogue."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from portal.billing import parse_tariff_or_none, tariff_document
from portal.cli.target import DataOption, settings_of
from portal.cli.tariff_file import read_tariff
from portal.cli.usage_errors import refusing_invalid
from portal.core.actor import SYSTEM
from portal.plans import Plan, get_plan_called, set_tariff
from portal.runtime.container import open_container

app = typer.Typer(help="Plans of the catalogue.", no_args_is_help=True)


@app.callback()
def plans() -> None:
    """Plans of the catalogue."""


@app.command("tariff")
def tariff(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="Its name for programs, like pro.")],
    file: Annotated[Path | None, typer.Argument(metavar="[TARIFF.json]", help="What usage costs from now on.")] = None,
    data: DataOption = None,
) -> None:
    """Print what usage costs on a plan, or set it: for every month that is not billed yet, the current one too."""
    with refusing_invalid():
        document = None if file is None else tariff_document(read_tariff(file))
    found = asyncio.run(_tariff(plan, document, data))
    priced = parse_tariff_or_none(found.tariff)
    typer.echo(json.dumps(tariff_document(priced) if priced else {}, indent=2))
    if priced is None:
        typer.echo(f"Usage costs nothing on {found.name}.", err=True)
    if document is not None:
        typer.echo(f"Set: every month of {found.name} that is not billed yet is priced so.", err=True)


async def _tariff(slug: str, document: dict[str, Any] | None, data: Path | None) -> Plan:
    async with open_container(settings_of(data)) as container, container.database.transaction() as tx:
        return await (get_plan_called(tx, slug) if document is None else set_tariff(tx, SYSTEM, slug, document))
