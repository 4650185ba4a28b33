"""One demo portal for all tests of the command: each leaves it running."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.cli.demo_portal import DemoPortal


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
