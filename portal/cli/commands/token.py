"""`portal token`: service tokens for gateways."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from portal.accounts import CreatedServiceToken, create_service_token
from portal.cli.target import DataOption, settings_of
from portal.core.actor import SYSTEM
from portal.runtime import open_container

app = typer.Typer(help="Create service tokens for gateways that call /check.", no_args_is_help=True)


@app.callback()
def tokens() -> None:
    """Create service tokens for gateways that call /check."""


@app.command("create")
def create(
    service: Annotated[str, typer.Option("--service", help="Name of the gateway that will use it.")],
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Create a service token and print it. It is shown only once."""
    created = asyncio.run(_create(service, data))
    if as_json:
        typer.echo(json.dumps({"id": created.row.id, "token": created.token}))
        return
    typer.echo(created.token)
    typer.echo("Shown only once. Send it to /check as Authorization: Bearer.", err=True)


async def _create(service: str, data: Path | None) -> CreatedServiceToken:
    async with open_container(settings_of(data)) as container, container.database.transaction() as tx:
        return await create_service_token(tx, SYSTEM, service)
