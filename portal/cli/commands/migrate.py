"""`portal migrate`: bring the configured database to the newest migration."""

import asyncio
from typing import Annotated

import typer

from portal.core.settings import load_settings
from portal.runtime import SchemaState, prepare_database


def migrate(quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False) -> None:
    """Migrate the configured database, each migration in a transaction of its own.

    Safe to run from several places at once: each waits for the one before. Safe under traffic: processes of the version
    before go on working. A database that a later version has migrated is left as it is.
    """

    def tell(revision: str) -> None:
        if not quiet:
            typer.echo(f"Migration {revision} …")

    state = asyncio.run(prepare_database(load_settings().database_url.get_secret_value(), tell))
    if quiet:
        return
    if state is SchemaState.NEWER:
        typer.echo(
            "A later version of the portal has migrated this database. This version works on it; nothing was done."
        )
    else:
        typer.echo("The database is ready.")
