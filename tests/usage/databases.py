"""A migrated database of one's own in the session's server, for tests that drop partitions or look at everything."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text

from migrations.run import migrate
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.ids import new_id


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
