"""`portal migrate`: bring the configured database to the newest migration."""

import asyncio
from typing import Annotated

import typer

from portal.core.settings import load_settings
from portal.runtime import prepare_database


def migrate(quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False) -> None:
    """Migrate the configured database. Safe to run from several places at once: each waits for the one before."""
    asyncio.run(prepare_database(load_settings().database_url.get_secret_value()))
    if not quiet:
        typer.echo("The database is ready.")
