"""A migrated database of one's own in the session's server, for tests that drop partitions or look at everything."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text

from migrations.run import migrate
from portal import plans
from portal.core.clock import utc_now
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.ids import new_id
from portal.usage import ensure_partitions


@asynccontextmanager
async def own_database(services: EmbeddedServices) -> AsyncIterator[Database]:
    name = new_id("db").lower()
    server = Database(services.database_url)
    try:
        async with server.owner_connection() as connection:
            await connection.execute(text(f"CREATE DATABASE {name}"))
        database = Database(services.database_url.rpartition("/")[0] + f"/{name}")
        try:
            await migrate(database.url)
            yield database
        finally:
            await database.close()
        async with server.owner_connection() as connection:
            await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        await server.close()


@asynccontextmanager
async def stocked_database(services: EmbeddedServices) -> AsyncIterator[Database]:
    """The same with the partitions of usage and the catalogue."""
    async with own_database(services) as database:
        await ensure_partitions(database, utc_now())
        async with database.transaction() as tx:
            await plans.ensure_catalogue(tx)
        yield database
