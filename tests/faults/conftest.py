"""Services that may be stopped and killed, apart from those of all other tests, and a portal on them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from portal.accounts import create_service_token
from portal.core.actor import SYSTEM
from portal.core.embedded import start_services
from portal.runtime import open_container, prepare_database
from tests.conftest import settings_for
from tests.faults.tools.place import Place
from tests.faults.tools.processes import SERVERS, Served
from tests.faults.tools.report import Report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder is one of faults."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)


@pytest.fixture(scope="session")
def report() -> Report:
    return Report()


@pytest.fixture(scope="session")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    services = await start_services(tmp_path_factory.mktemp("faults"))
    try:
        await prepare_database(services.database_url)
        async with open_container(settings_for(services, tmp_path_factory.mktemp("test-process"))) as parts:
            async with parts.database.transaction() as tx:
                token = (await create_service_token(tx, SYSTEM, "gateway")).token
            yield Place(services, parts, token)
    finally:
        await services.stop()


@pytest.fixture(scope="session")
async def portal(place: Place, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """Two server processes and a worker; each test leaves them running and well.

    They wait for Redis longer than usual: a busy machine alone must not make an answer degraded.
    """
    async with serve(place, tmp_path_factory.mktemp("portal"), PORTAL_CHECK_DEADLINE_MS="1000") as served:
        yield served


@asynccontextmanager
async def serve(
    place: Place,
    folder: Path,
    *,
    has_worker: bool = True,
    servers: int = SERVERS,
    only: str | None = None,
    **settings: str,
) -> AsyncIterator[Served]:
    services = place.services
    places = {
        "PORTAL_DATABASE_URL": services.database_url,
        "PORTAL_REDIS_URLS": ",".join(services.redis_urls),
        "PORTAL_DATA": str(folder / "data"),
    }
    served = Served(folder, places | settings, place.service_token, servers, only)
    try:
        if has_worker:
            served.start_worker()
        await served.start_server()
        yield served
    finally:
        await served.stop()
