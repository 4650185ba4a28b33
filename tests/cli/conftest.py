"""One demo portal for all tests of the command: each leaves it running. Others have a database of their own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from tests.cli.demo_portal import DemoPortal
from tests.usage.databases import stocked_database


@pytest.fixture(scope="session")
async def demo_portal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DemoPortal]:
    portal = DemoPortal(tmp_path_factory.mktemp("demo"))
    await asyncio.to_thread(portal.start)
    yield portal
    await asyncio.to_thread(portal.interrupt)


@pytest.fixture
async def sql(demo_portal: DemoPortal) -> AsyncIterator[asyncpg.Connection]:
    """The ready file's own log-in."""
    connection = await asyncpg.connect(demo_portal.facts["database_url"])
    yield connection
    await connection.close()


@pytest.fixture
async def own(services: EmbeddedServices) -> AsyncIterator[Database]:
    async with stocked_database(services) as database:
        yield database


@pytest.fixture
def where(own: Database, services: EmbeddedServices, tmp_path: Path) -> dict[str, str]:
    """Settings of a command that is to use it."""
    return {
        "PORTAL_DATABASE_URL": own.url,
        "PORTAL_REDIS_URLS": ",".join(services.redis_urls),
        "PORTAL_DATA": str(tmp_path / "data"),
    }
