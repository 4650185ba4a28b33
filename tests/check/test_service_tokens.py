"""Which gateway calls: remembered, forgotten in time, and not pushed out by tokens that nobody has."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from portal.accounts import ServiceToken, create_service_token
from portal.check import ServiceTokens, SharedTokens, service_tokens
from portal.core.actor import SYSTEM
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.limits import Limiter


@pytest.fixture
async def token(database: Database) -> str:
    async with database.transaction() as tx:
        return (await create_service_token(tx, SYSTEM, "gateway")).token


@pytest.fixture
async def shared(services: EmbeddedServices) -> AsyncIterator[SharedTokens]:
    limiter = Limiter(services.redis_urls, 1000)
    await limiter.open()
    yield SharedTokens(limiter)
    await limiter.close()


async def test_unknown_tokens_evict_no_known_one_and_leave_connections_free(
    database: Database, shared: SharedTokens, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_tokens, "MAX_REMEMBERED", 3)
    tokens = ServiceTokens(database, shared)
    known = await tokens.identify(token)
    strangers = [tokens.identify(f"svc_{number}") for number in range(100)]
    gathered = asyncio.gather(*strangers)
    await asyncio.sleep(0)
    async with asyncio.timeout(5), database.transaction() as tx:
        await tx.flush()
    assert set(await gathered) == {None}
    assert known is not None
    assert tokens.find_in_memory(token) == known
    assert (len(tokens._cached), len(tokens._unknown)) == (1, 3)


async def test_a_revoked_token_is_unknown_once_it_was_looked_up_again(
    database: Database, shared: SharedTokens, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = ServiceTokens(database, shared)
    token_id = await tokens.identify(token)
    async with database.transaction() as tx:
        table = ServiceToken.__table__  # type: ignore[attr-defined]  # SQLModel adds it
        await tx.execute(table.update().where(table.c.id == token_id).values(revoked_at=tx.now))
    assert await tokens.identify(token) == token_id
    monkeypatch.setattr(service_tokens, "REMEMBER_SECONDS", 0.0)
    assert await tokens.identify(token) is None
