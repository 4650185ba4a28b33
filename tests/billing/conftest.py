"""A database of this folder's own, so that numbers and due accounts are its tests' alone."""

from collections.abc import AsyncIterator

import pytest

from portal import plans
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.usage import ensure_partitions
from tests.billing.account import NOW
from tests.usage.databases import own_database


@pytest.fixture(scope="module")
async def own(services: EmbeddedServices) -> AsyncIterator[Database]:
    """With partitions and the catalogue."""
    async with own_database(services) as database:
        await ensure_partitions(database, NOW)
        async with database.transaction() as tx:
            await plans.ensure_catalogue(tx)
        yield database
