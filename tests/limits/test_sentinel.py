"""A shard that Sentinels watch follows its promotion; a server that is no master is never used."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from time import monotonic

import pytest
from sqlalchemy import text

from portal.check import CheckResponse, CheckUnavailable
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.redis.address import parse_shard
from portal.limits import (
    Decision,
    Limiter,
    LimitRequest,
    LimitsUnavailable,
    Mode,
    Seed,
    Sentinels,
    Status,
    Subject,
    Window,
)
from tests.check.conftest import Process, make_customer, make_process
from tests.check.test_checker import ask
from tests.limits.sentinels import MASTER, PASSWORD, Server, Watched, plain_servers, until, watched_pair

LIMIT = 40
MINUTE_MS = 60_000
FAILOVER_SECONDS = 10.0
ANSWER_SECONDS = 0.05


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    async with watched_pair(tmp_path) as watched:
        yield watched


@pytest.fixture
async def limiter(watched: Watched) -> AsyncIterator[Limiter]:
    limiter = Limiter([watched.url], deadline_ms=25)
    await limiter.open()
    yield limiter
    await limiter.close()


def one(account: str, mode: Mode = Mode.CONSUME) -> LimitRequest:
    return LimitRequest(account, 1, mode, 1, (Subject(account, (Window(LIMIT, MINUTE_MS * 1000),)),), None, Seed(1, {}))


async def decided(limiter: Limiter, account: str) -> tuple[Decision, list[float]]:
    """The first decision that comes, and how long those took that did not."""
    waited: list[float] = []
    until_at = monotonic() + FAILOVER_SECONDS
    while True:
        begin = monotonic()
        try:
            return await limiter.decide_one(one(account)), waited
        except LimitsUnavailable:
            waited.append(monotonic() - begin)
            assert monotonic() < until_at
            await asyncio.sleep(0.01)


async def test_after_a_kill_the_promoted_one_decides(
    watched: Watched, services: EmbeddedServices, database: Database, tmp_path: Path
) -> None:
    """Three accounts: what the promoted one knows is exact, what it lost is admitted once more and seeded."""
    _, opened = await make_customer(database, (LIMIT, MINUTE_MS), failure_policy="open")
    _, kept = await make_customer(database, (LIMIT, MINUTE_MS), failure_policy="closed")
    lost_id, lost = await make_customer(database, (LIMIT, MINUTE_MS), failure_policy="closed", monthly_quota=1000)
    async for process in make_process(services, tmp_path, deadline_ms=25, urls=[watched.url]):
        before = [await valid_of(process, secret, 30) for secret in (opened, kept, lost)]
        assert before == [30, 30, 30]
        async with database.transaction() as tx:
            await tx.execute(
                text("INSERT INTO usage_periods VALUES (:id, to_char(now(), 'YYYY-MM'), 700)"), {"id": lost_id}
            )
        await forget(watched.second, f"account:{lost_id}", lost, process)
        watched.first.signal(signal.SIGKILL)
        took = await through_the_failover(process, opened, kept)
        assert median(took) < ANSWER_SECONDS
        assert process.limiter.shards()[0].connection.master == ("127.0.0.1", watched.second.port)
        seeded = process.checker.unseeded_count
        answer = await ask(process, lost)
        assert answer.quota is not None
        assert (answer.quota.used, answer.limits[0].remaining) == (701, LIMIT - 1)
        assert process.checker.unseeded_count == seeded + 1
        assert 30 + 1 + await valid_of(process, lost, LIMIT + 10) <= 2 * LIMIT
        # One unit of `kept` was admitted as the first answer of the promoted one.
        assert 30 + 1 + await valid_of(process, kept, LIMIT) == LIMIT


async def valid_of(process: Process, secret: str, count: int) -> int:
    answers = [await ask(process, secret) for _ in range(count)]
    assert not any(answer.degraded for answer in answers)
    return [answer.valid for answer in answers].count(True)


async def forget(replica: Server, record: str, secret: str, process: Process) -> None:
    """As if the last writes had not reached it."""
    key_id = (await ask(process, secret, cost=0)).key_id
    async with replica.client() as client:
        await client.config_set("replica-read-only", "no")
        assert await client.delete(record, f"limit:{key_id}") == 2
        await client.config_set("replica-read-only", "yes")


async def through_the_failover(process: Process, opened: str, closed: str) -> list[float]:
    """Asks until Redis decides for both again; says how long the answers meanwhile took."""
    took: list[float] = []
    until_at = monotonic() + FAILOVER_SECONDS
    while True:
        assert monotonic() < until_at
        begin = monotonic()
        answer: CheckResponse | None = None
        try:
            answer = await ask(process, closed)
        except CheckUnavailable:
            took.append(monotonic() - begin)
        if answer is not None:
            assert not answer.degraded
            return took
        begin = monotonic()
        answer = await ask(process, opened)
        took.append(monotonic() - begin)
        assert answer.valid
        await asyncio.sleep(0.01)


async def test_a_master_that_hung_is_not_used_when_it_goes_on(watched: Watched, limiter: Limiter) -> None:
    """It takes itself for the master until the Sentinels reach it, seconds later."""
    account, connection = "acct_hung", limiter.shards()[0].connection
    assert (await decided(limiter, account))[0].status is Status.ADMITTED
    watched.first.signal(signal.SIGSTOP)
    try:
        decision, waited = await decided(limiter, account)
    finally:
        watched.first.signal(signal.SIGCONT)
    assert median(waited) < ANSWER_SECONDS
    assert connection.master == ("127.0.0.1", watched.second.port)
    before = decision.states[0].used
    for count in range(1, 21):
        decision = await limiter.decide_one(one(account))
        assert decision.states[0].used == before + count
        await asyncio.sleep(0.1)
    assert connection.master == ("127.0.0.1", watched.second.port)


async def test_a_promotion_by_hand_is_followed_though_the_old_master_answers(
    watched: Watched, limiter: Limiter
) -> None:
    account, connection = "acct_by_hand", limiter.shards()[0].connection
    admitted = 0
    async with watched.sentinels[0].client() as client:
        await client.sentinel_failover(MASTER)
    until_at = monotonic() + FAILOVER_SECONDS
    while connection.master != ("127.0.0.1", watched.second.port):
        assert monotonic() < until_at
        admitted += (await decided(limiter, account))[0].status is Status.ADMITTED
        await asyncio.sleep(0.02)
    for _ in range(LIMIT + 5):
        admitted += (await decided(limiter, account))[0].status is Status.ADMITTED
    assert LIMIT <= admitted <= 2 * LIMIT


async def test_a_sentinel_that_is_away_or_hangs_is_outvoted(watched: Watched) -> None:
    watched.sentinels[0].signal(signal.SIGKILL)
    watched.sentinels[1].signal(signal.SIGSTOP)
    sentinels = Sentinels(parse_shard(watched.url))
    begin = monotonic()
    try:
        assert await sentinels.masters() == {("127.0.0.1", watched.first.port): 1}
        assert monotonic() - begin < 1
    finally:
        watched.sentinels[1].signal(signal.SIGCONT)
        await sentinels.close()


async def test_a_server_that_became_a_replica_is_left_and_found_again(tmp_path: Path) -> None:
    """Without Sentinels: nobody closes the link, its refusal to write does."""
    async with plain_servers(tmp_path, 2) as (server, other):
        limiter = Limiter([server.url], deadline_ms=1000)
        await limiter.open()
        connection = limiter.shards()[0].connection
        assert (await limiter.decide_one(one("a"))).status is Status.ADMITTED
        async with server.client() as client:
            await client.config_set("masterauth", PASSWORD)
            await client.replicaof("127.0.0.1", other.port)
            with pytest.raises(LimitsUnavailable):
                await limiter.decide_one(one("a"))
            await asyncio.sleep(0.5)
            assert not connection.is_connected
            with pytest.raises(LimitsUnavailable):
                await limiter.decide_one(one("a", Mode.LOOK))
            with pytest.raises(LimitsUnavailable):
                await connection.call("SET", "x", 1)
            await client.replicaof("NO", "ONE")
        await until(lambda: _is_connected(limiter), "there is no new link")
        assert (await limiter.decide_one(one("a"))).status is Status.ADMITTED
        await limiter.close()


async def test_a_call_to_a_new_replica_raises_unavailable(tmp_path: Path) -> None:
    async with plain_servers(tmp_path, 2) as (server, other):
        limiter = Limiter([server.url], deadline_ms=1000)
        await limiter.open()
        async with server.client() as client:
            await client.replicaof("127.0.0.1", other.port)
        with pytest.raises(LimitsUnavailable, match="READONLY"):
            await limiter.raise_policy_version("acct_1", 2)
        await limiter.close()


async def _is_connected(limiter: Limiter) -> bool:
    return limiter.shards()[0].connection.is_connected
