"""`portal plan`: what usage costs on the plans of the catalogue."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from portal import plans
from portal.billing import parse_tariff_or_none, tariff_document
from portal.cli.target import DataOption, settings_of
from portal.cli.tariff_file import read_tariff
from portal.cli.usage_errors import refusing_invalid
from portal.core.actor import SYSTEM
from portal.plans import Plan, get_plan_called
from portal.runtime import open_container

app = typer.Typer(help="Show or set what usage costs on a plan.", no_args_is_help=True)


@app.callback()
def plan_commands() -> None:
    """Show or set what usage costs on a plan."""


@app.command("tariff")
def tariff(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="Slug of the plan, like pro.")],
    file: Annotated[Path | None, typer.Argument(metavar="[TARIFF.json]", help="File with the new tariff.")] = None,
    data: DataOption = None,
) -> None:
    """Print the tariff of a plan, or set it for every month that is not billed yet, the current one included."""
    with refusing_invalid():
        document = None if file is None else tariff_document(read_tariff(file))
    found = asyncio.run(_tariff(plan, document, data))
    priced = parse_tariff_or_none(found.tariff)
    typer.echo(json.dumps(tariff_document(priced) if priced else {}, indent=2))
    if priced is None:
        typer.echo(f"Usage costs nothing on {found.name}.", err=True)
    if document is not None:
        typer.echo(f"Set. It prices every month of {found.name} that is not billed yet.", err=True)


async def _tariff(slug: str, document: dict[str, Any] | None, data: Path | None) -> Plan:
    async with open_container(settings_of(data)) as container, container.database.transaction() as tx:
        return await (get_plan_called(tx, slug) if document is None else plans.set_tariff(tx, SYSTEM, slug, document))
