"""Redis away: the plan's failure policy answers, and a local allowance admits its part and no more."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from portal.check import CheckRequest, CheckResponse, CheckUnavailable, Code, check_atomic
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from tests.check.conftest import Process, make_customer, make_process
from tests.check.test_checker import SERVICE, ask
from tests.limits.sentinels import Server, plain_servers, until
from web.check.replies import native_status_reply

MINUTE_MS = 60_000
PROCESSES = 2


@dataclass
class Lonely:
    """A checker that knows of two processes, and its own Redis."""

    process: Process
    redis: Server

    async def lose(self) -> None:
        self.redis.signal(signal.SIGKILL)
        await until(self._is_lost, "the link goes on")

    async def restart(self) -> None:
        await self.redis.start()
        await until(self._is_found, "there is no new link")

    async def _is_lost(self) -> bool:
        return not await self._is_found()

    async def _is_found(self) -> bool:
        return self.process.limiter.shards()[0].connection.is_connected

    async def codes(self, secret: str, count: int, **fields: object) -> Counter[Code]:
        answers = [await ask(self.process, secret, **fields) for _ in range(count)]
        assert all(answer.degraded for answer in answers)
        return Counter(answer.code for answer in answers)


@pytest.fixture
async def lonely(services: EmbeddedServices, database: Database, tmp_path: Path) -> AsyncIterator[Lonely]:
    async with plain_servers(tmp_path, 1) as (redis,):
        async for process in make_process(services, tmp_path, urls=[redis.url], processes=PROCESSES):
            yield Lonely(process, redis)


async def test_open_admits_and_counts(lonely: Lonely, database: Database) -> None:
    _, secret = await make_customer(database, (2, MINUTE_MS), failure_policy="open")
    await ask(lonely.process, secret)
    await lonely.lose()
    assert await lonely.codes(secret, 10) == {Code.VALID: 10}
    assert len(lonely.process.journalled()) == 11
    assert lonely.process.checker.degraded_decider.decision_counts == {("open", "ADMITTED"): 10}


async def test_closed_decides_and_counts_nothing(lonely: Lonely, database: Database) -> None:
    _, secret = await make_customer(database, (2, MINUTE_MS), failure_policy="closed")
    await ask(lonely.process, secret)
    await lonely.lose()
    with pytest.raises(CheckUnavailable):
        await ask(lonely.process, secret)
    assert len(lonely.process.journalled()) == 1
    assert lonely.process.checker.degraded_decider.decision_counts == {("closed", "UNDECIDED"): 1}


async def test_local_admits_its_part_of_the_limit_and_says_when_to_come_back(
    lonely: Lonely, database: Database
) -> None:
    _, secret = await make_customer(database, (21, MINUTE_MS), failure_policy="local", monthly_quota=1000)
    assert not (await ask(lonely.process, secret)).degraded
    await lonely.lose()
    assert await lonely.codes(secret, 15) == {Code.VALID: 10, Code.RATE_LIMITED: 5}
    assert [row.code for row in lonely.process.journalled()] == ["VALID"] * 11 + ["RATE_LIMITED"] * 5
    checked = await lonely.process.checker.check("svc_1", CheckRequest(key=secret))
    assert (checked.response.retry_after_ms, checked.response.limits) == (5000, [])
    reply = native_status_reply(checked)
    assert (reply.status, reply.headers) == (429, b"Retry-After: 5\r\n")
    assert b'"violated-policies":["w"]' in reply.body
    assert lonely.process.checker.degraded_decider.decision_counts["local", "ADMITTED"] == 10


async def test_local_keeps_to_what_was_left_of_the_quota(lonely: Lonely, database: Database) -> None:
    _, secret = await make_customer(database, (1000, MINUTE_MS), failure_policy="local", monthly_quota=30)
    for _ in range(10):
        await ask(lonely.process, secret)
    await lonely.lose()
    assert await lonely.codes(secret, 15) == {Code.VALID: 10, Code.QUOTA_EXCEEDED: 5}
    assert await lonely.codes(secret, 3, cost=0) == {Code.VALID: 3}


async def test_local_counts_freely_where_the_quota_does_not_deny(lonely: Lonely, database: Database) -> None:
    _, secret = await make_customer(
        database, (40, MINUTE_MS), failure_policy="local", monthly_quota=1, is_overage_allowed=True
    )
    await lonely.lose()
    assert await lonely.codes(secret, 25) == {Code.VALID: 20, Code.RATE_LIMITED: 5}


async def test_local_asks_postgresql_about_an_account_that_redis_never_answered_for(
    lonely: Lonely, database: Database
) -> None:
    account_id, secret = await make_customer(database, (1000, MINUTE_MS), failure_policy="local", monthly_quota=30)
    async with database.transaction() as tx:
        await tx.execute(
            text("INSERT INTO usage_periods VALUES (:id, to_char(now(), 'YYYY-MM'), 20)"), {"id": account_id}
        )
    await lonely.lose()
    with pytest.raises(CheckUnavailable):
        await ask(lonely.process, secret)
    answer = await _decided(lonely.process, secret)
    assert answer.valid
    assert await lonely.codes(secret, 9) == {Code.VALID: 4, Code.QUOTA_EXCEEDED: 5}


async def test_atomic_checks_go_by_the_policy_too_all_or_none(lonely: Lonely, database: Database) -> None:
    _, secret = await make_customer(database, (20, MINUTE_MS), failure_policy="local")
    await ask(lonely.process, secret)
    await lonely.lose()
    first = await check_atomic(lonely.process.checker, SERVICE, [CheckRequest(key=secret, cost=3)] * 3)
    assert [(one.response.code, one.response.degraded) for one in first] == [(Code.VALID, True)] * 3
    second = await check_atomic(lonely.process.checker, SERVICE, [CheckRequest(key=secret)] * 2)
    assert [one.response.code for one in second] == [Code.RATE_LIMITED] * 2
    assert await lonely.codes(secret, 2) == {Code.VALID: 1, Code.RATE_LIMITED: 1}


async def test_redis_back_decides_again(lonely: Lonely, database: Database) -> None:
    _, secret = await make_customer(database, (20, MINUTE_MS), failure_policy="local")
    await lonely.lose()
    await lonely.codes(secret, 5)
    await lonely.restart()
    answer = await ask(lonely.process, secret)
    assert (answer.valid, answer.degraded, answer.limits[0].remaining) == (True, False, 19)


async def _decided(process: Process, secret: str) -> CheckResponse:
    for _ in range(100):
        try:
            return await ask(process, secret)
        except CheckUnavailable:
            await asyncio.sleep(0.02)
    raise AssertionError("PostgreSQL did not tell")
