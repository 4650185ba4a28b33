"""A limiter on the session's Valkey, and the script itself with a clock that a test sets."""

from collections.abc import AsyncIterator, Iterator
from typing import cast

import pytest

from portal.core.embedded import EmbeddedServices
from portal.limits import Limiter
from tests.limits.oracle import SCRIPTS, Server


@pytest.fixture
async def limiter(services: EmbeddedServices) -> AsyncIterator[Limiter]:
    limiter = Limiter(services.redis_urls, deadline_ms=1000)
    await limiter.open()
    yield limiter
    await limiter.close()


@pytest.fixture(scope="session", params=SCRIPTS)
def server(services: EmbeddedServices, request: pytest.FixtureRequest) -> Iterator[Server]:
    client = cast(Server, Server.from_url(services.redis_urls[0]))
    client.script = SCRIPTS[request.param]
    yield client
    client.close()
