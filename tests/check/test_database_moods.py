"""Whatever PostgreSQL says instead of "there is no such token" or "no such key" leaves the known answer in force."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from portal.accounts import create_service_token, revoke_service_token
from portal.check import PolicyCache, ServiceTokens, SharedTokens, service_tokens
from portal.check.policy import cache
from portal.core.actor import SYSTEM
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.keys import secret_digest
from portal.limits import Limiter
from tests.check.conftest import make_customer
from tests.faults.tools.moody_postgres import MoodyPostgres

REFUSED_LOG_INS = [
    *("08000", "08001", "08004", "08006", "08P01", "0A000", "25006", "25P02", "26000", "28000", "28P01", "3D000"),
    *("40001", "40P01", "42501", "42601", "42703", "42P01", "53000", "53100", "53200", "53300", "53400", "54000"),
    *("55000", "55006", "55P03", "57000", "57014", "57P01", "57P02", "57P03", "57P04", "57P05", "58000", "58030"),
    *("F0000", "F0001", "P0001", "XX000", "XX001", "XX002", "99999"),
]
"""By every class of error, also those that no server says at a log-in: nobody can list what a proxy in between says."""
MOODS = [*REFUSED_LOG_INS, "hang", "cut", "garbage"]
STATEMENT_MOODS = {
    "not migrated": ("ALTER TABLE {table} RENAME TO gone", "ALTER TABLE gone RENAME TO {table}"),
    "column missing": ("ALTER TABLE {table} RENAME id TO gone", "ALTER TABLE {table} RENAME gone TO id"),
    "no right": ("REVOKE SELECT ON {table} FROM portal_system", "GRANT SELECT ON {table} TO portal_system"),
}


@dataclass
class Node:
    """What a check process knows PostgreSQL by, behind a server with moods; `token` and `secret` are known to it."""

    postgres: MoodyPostgres
    database: Database
    limiter: Limiter
    token: str
    secret: str

    def service_tokens(self, outage_seconds: float = 3600.0) -> ServiceTokens:
        return ServiceTokens(self.database, SharedTokens(self.limiter), outage_seconds=outage_seconds)

    def policies(self, **others: float) -> PolicyCache:
        return PolicyCache(self.database, self.limiter, size=100, max_age_seconds=0, **others)


@pytest.fixture
async def node(services: EmbeddedServices, database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Node]:
    monkeypatch.setattr(service_tokens, "REMEMBER_SECONDS", 0.0)
    monkeypatch.setattr(service_tokens, "TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(service_tokens, "LOAD_TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(cache, "TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(cache, "RETRY_SECONDS", 0.0)
    async with database.transaction() as tx:
        token = (await create_service_token(tx, SYSTEM, "gateway")).token
    _, secret = await make_customer(database, (1000, 1000))
    url = make_url(services.database_url)
    limiter = Limiter(services.redis_urls, 1000)
    await limiter.open()
    async with MoodyPostgres(int(url.port or 0)) as postgres:
        behind = Database(url.set(host="127.0.0.1", port=postgres.port).render_as_string(hide_password=False))
        yield Node(postgres, behind, limiter, token, secret)
        postgres.become(None)
        await behind.close()
    await limiter.close()


async def test_a_known_token_and_a_known_key_outlive_every_mood(node: Node) -> None:
    tokens, policies, digest = node.service_tokens(), node.policies(), secret_digest(node.secret)
    token_id = await tokens.identify(node.token)
    policy = (await _found(policies.find(digest))).policy
    for mood in MOODS:
        node.postgres.become(mood)
        for _ in range(3):
            assert await tokens.identify(node.token) == token_id, mood
            assert (await _found(policies.find(digest))).policy == policy, mood
    node.postgres.become(None)
    assert await tokens.identify(node.token) == token_id


@pytest.mark.parametrize("mood", STATEMENT_MOODS)
async def test_they_outlive_a_database_that_takes_the_log_in_and_not_the_statement(
    node: Node, database: Database, mood: str
) -> None:
    tokens, policies, digest = node.service_tokens(), node.policies(), secret_digest(node.secret)
    token_id, policy = await tokens.identify(node.token), (await _found(policies.find(digest))).policy
    before, after = STATEMENT_MOODS[mood]
    for table in ("service_tokens", "key_secrets"):
        await _run(database, before.format(table=table))
        try:
            assert await tokens.identify(node.token) == token_id
            assert (await _found(policies.find(digest))).policy == policy
        finally:
            await _run(database, after.format(table=table))


async def test_they_outlive_a_statement_that_hangs_and_nobody_waits_for_long(node: Node, database: Database) -> None:
    tokens, policies, digest = node.service_tokens(), node.policies(), secret_digest(node.secret)
    token_id, policy = await tokens.identify(node.token), (await _found(policies.find(digest))).policy
    async with database.owner_transaction() as tx:
        await tx.execute(text("LOCK TABLE service_tokens, key_secrets IN ACCESS EXCLUSIVE MODE"))
        begun = monotonic()
        for _ in range(3):
            assert await tokens.identify(node.token) == token_id
            assert (await _found(policies.find(digest))).policy == policy
        assert monotonic() - begun < 6  # three timeouts of each, where PostgreSQL itself would be given up after 15 s


async def test_what_was_revoked_ends_as_soon_as_postgresql_is_well(node: Node, database: Database) -> None:
    tokens = node.service_tokens()
    token_id = await tokens.identify(node.token)
    node.postgres.become("53300")
    async with database.transaction() as tx:
        await revoke_service_token(tx, SYSTEM, token_id or "")
    assert await tokens.identify(node.token) == token_id
    node.postgres.become(None)
    assert await tokens.identify(node.token) is None
    node.postgres.become("28P01")
    for mood in MOODS[:5]:
        node.postgres.become(mood)
        with pytest.raises(Exception, match="not today"):
            await tokens.identify(node.token)


async def test_the_outage_ends_after_the_stated_hours(node: Node) -> None:
    tokens, policies = node.service_tokens(outage_seconds=0.5), node.policies(outage_seconds=0.5)
    digest = secret_digest(node.secret)
    assert await tokens.identify(node.token)
    assert await policies.find(digest)
    node.postgres.become("57P03")
    await asyncio.sleep(0.6)
    for ask in (lambda: tokens.identify(node.token), lambda: policies.find(digest)):
        with pytest.raises(Exception, match="not today"):
            await ask()


@pytest.mark.parametrize("mood", ["hang", "cut", "28P01"])
async def test_a_process_that_starts_in_an_outage_knows_what_others_knew(node: Node, mood: str) -> None:
    before, known = node.service_tokens(), node.policies()
    await before.open()
    await _until(lambda: before.is_loaded)
    token_id, policy = await before.identify(node.token), await _found(known.find(secret_digest(node.secret)))
    decided = policy.policy.version
    await node.limiter.raise_policy_version(policy.policy.account_id, decided)
    node.postgres.become(mood)
    known.back_up()
    await asyncio.sleep(0.3)
    await node.limiter.shard_of("").connection.call("DEL", f"policy:{secret_digest(node.secret).hex()}")
    started, policies = node.service_tokens(), node.policies()
    await started.open()
    await _until(lambda: started.is_loaded)
    assert started.find_in_memory(node.token) in {token_id, None}
    assert await started.identify(node.token) == token_id
    assert (await _found(policies.find(secret_digest(node.secret)))).policy == policy.policy
    with pytest.raises(Exception):  # noqa: B017, PT011 whatever PostgreSQL said: a stranger is not known, and not refused
        await started.identify("svc_stranger")
    await asyncio.gather(before.close(), started.close(), known.close(), policies.close())


async def test_a_process_without_any_answer_is_not_ready(node: Node) -> None:
    await node.limiter.shard_of("").connection.call("DEL", "service_tokens")
    node.postgres.become("57P03")
    tokens = node.service_tokens()
    await tokens.open()
    await asyncio.sleep(1.5)
    assert not tokens.is_loaded
    node.postgres.become(None)
    await _until(lambda: tokens.is_loaded)
    node.postgres.become("57P03")
    assert tokens.is_loaded
    assert await tokens.identify(node.token)
    await tokens.close()


async def test_a_lookup_that_nobody_waits_for_any_more_is_not_complained_of(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = node.service_tokens()
    token_id = await tokens.identify(node.token)
    node.postgres.become("hang")
    assert await tokens.identify(node.token) == token_id
    node.postgres.become("cut")
    await asyncio.sleep(0.2)
    assert "never retrieved" not in caplog.text


async def _found(search: Awaitable[cache.CachedPolicy | None]) -> cache.CachedPolicy:
    found = await search
    assert found is not None
    return found


async def _run(database: Database, statement: str) -> None:
    async with database.owner_transaction() as tx:
        await tx.execute(text(statement))


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 nobody tells
            await asyncio.sleep(0.02)
