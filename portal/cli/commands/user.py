"""`portal user`: people who sign in."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from portal.accounts import CreatedUser, create_user
from portal.cli.target import DataOption, settings_of
from portal.runtime import open_container

app = typer.Typer(help="Create people who sign in.", no_args_is_help=True)


@app.callback()
def users() -> None:
    """Create people who sign in."""


@app.command("create")
def create(
    email: Annotated[str, typer.Argument(help="The person's e-mail address.")],
    staff: Annotated[bool, typer.Option("--staff", help="Make the person one of the provider's staff.")] = False,
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Create a person with an account of their own. The password is generated and shown only once."""
    created = asyncio.run(_create(email, staff, data))
    person, account = created.person, created.account
    if as_json:
        typer.echo(json.dumps({"email": person.email, "password": created.password, "account_id": account.id}))
        return
    typer.echo(f"{person.email}  {created.password}")
    typer.echo("The password is shown only once: pass it on and ask for it to be changed.", err=True)


async def _create(email: str, staff: bool, data: Path | None) -> CreatedUser:
    async with open_container(settings_of(data)) as container, container.database.transaction() as tx:
        return await create_user(tx, email, is_staff=staff)
