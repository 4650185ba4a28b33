"""A database of this folder's own, so that numbers and due accounts are its tests' alone."""

from collections.abc import AsyncIterator

import pytest

from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from tests.usage.databases import stocked_database


@pytest.fixture(scope="module")
async def own(services: EmbeddedServices) -> AsyncIterator[Database]:
    """With partitions and the catalogue."""
    async with stocked_database(services) as database:
        yield database
