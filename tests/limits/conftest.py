"""A limiter on the session's Valkey."""

from collections.abc import AsyncIterator

import pytest

from portal.core.embedded import EmbeddedServices
from portal.limits import Limiter


@pytest.fixture
async def limiter(services: EmbeddedServices) -> AsyncIterator[Limiter]:
    limiter = Limiter(services.redis_urls, deadline_ms=1000)
    await limiter.open()
    yield limiter
    await limiter.close()
