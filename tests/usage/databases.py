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

_templates: dict[tuple[str, bool], str] = {}
"""By server, and whether it is stocked: the database that was made once, and is copied for each test."""


@asynccontextmanager
async def own_database(services: EmbeddedServices, *, is_stocked: bool = False) -> AsyncIterator[Database]:
    server = Database(services.database_url)
    try:
        kind = services.database_url, is_stocked
        if kind not in _templates:
            _templates[kind] = await _create_template(server, is_stocked=is_stocked)
        name = await _create(server, _templates[kind])
        async with server.owner_connection() as connection:  # a database's own rights are not copied
            await connection.execute(text(f"GRANT TEMPORARY ON DATABASE {name} TO portal_system"))
        database = Database(_url_of(server, name))
        try:
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
    async with own_database(services, is_stocked=True) as database:
        yield database


async def _create_template(server: Database, *, is_stocked: bool) -> str:
    template = await _create(server, "template0")
    await migrate(_url_of(server, template))
    if is_stocked:
        database = Database(_url_of(server, template))
        await ensure_partitions(database, utc_now())
        async with database.transaction() as tx:
            await plans.ensure_catalogue(tx)
        await database.close()
    return template


async def _create(server: Database, template: str) -> str:
    name = new_id("db").lower()
    async with server.owner_connection() as connection:
        await connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    return name


def _url_of(server: Database, name: str) -> str:
    return server.url.rpartition("/")[0] + f"/{name}"
