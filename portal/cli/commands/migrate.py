"""`portal migrate`: bring the database to the newest migration, with partitions and a catalogue."""

import asyncio
from typing import Annotated

import typer

from migrations.run import migrate as run_migrations
from portal.core.database import Database
from portal.core.errors import StartupError
from portal.core.settings import load_settings
from portal.plans import ensure_catalogue
from portal.usage import ensure_partitions


def migrate(quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False) -> None:
    """Migrate the configured database; processes that do so together wait for one another."""
    url = load_settings().database_url.get_secret_value()
    asyncio.run(prepare_database(url))
    if not quiet:
        typer.echo("The database is ready.")


async def prepare_database(url: str) -> None:
    """Migrations, partitions, and the starter catalogue where there is no plan. Raises StartupError."""
    try:
        await run_migrations(url)
    except OSError as error:
        raise StartupError(f"PostgreSQL does not answer: {error}.", hint="Check PORTAL_DATABASE_URL.") from None
    database = Database(url, pool_size=2)
    try:
        async with database.transaction() as tx:
            await ensure_catalogue(tx)
            now = tx.now
        await ensure_partitions(database, now)
    finally:
        await database.close()
