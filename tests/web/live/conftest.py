"""A whole portal on a port, with the outbox relay in another process's place: parts of its own."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.messaging.bus import EVENTS
from portal.graphql.live import Publisher
from portal.runtime import Container, listen, open_container, open_web, running_server, url_of
from tests.conftest import settings_for
from tests.web.graphql_client import Visitor, new_visitor
from tests.web.live.clients import Portal, until
from web.app import create_app
from workers import relay_outbox


@pytest.fixture(scope="session")
async def portal(
    services: EmbeddedServices, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Portal]:
    """`database` is asked for because it migrates."""
    sock = listen("127.0.0.1", 0)
    settings = settings_for(services, tmp_path_factory.mktemp("live")).model_copy(update={"base_url": url_of(sock)})
    async with open_container(settings) as parts, open_web(parts) as web, running_server(create_app(web), sock):
        yield Portal(settings.base_url, web, parts.database)


@pytest.fixture(scope="module")
async def relaying(services: EmbeddedServices, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Container]:
    """The outbox relay, as a worker process has it: nothing of the web process's memory is shared.

    Only as long as needed: it takes the events of every other test too.
    """
    async with open_container(settings_for(services, tmp_path_factory.mktemp("relay"))) as parts:
        parts.bus.subscribe(EVENTS, Publisher(parts.limiter).relayed)
        stop = asyncio.Event()
        working = asyncio.create_task(relay_outbox.run(parts.database, parts.bus, stop))
        yield parts
        stop.set()
        await working


@pytest.fixture
async def visitor(database: Database) -> Visitor:
    return await new_visitor(database)


@pytest.fixture
async def quiet(portal: Portal) -> AsyncIterator[None]:
    """Afterwards nothing is held any more."""
    yield
    await until(portal.is_quiet)
