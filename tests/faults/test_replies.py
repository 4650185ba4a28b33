"""A reply reaches who asked, or nobody: callers that give up, answers that come late and in pieces, cut connections."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis

from portal.core.clock import to_microseconds, utc_now
from portal.limits import Limiter, LimitRequest, LimitsUnavailable, Mode, Quota, Seed
from portal.limits.redis_link import RedisConnection
from tests.faults.tools.place import Place
from tests.faults.tools.proxy import DelayingProxy
from tests.faults.tools.report import Report, sized

CALLS = sized(5_000, 100_000)
BATCH_SIZE = 200
DEADLINE_MS = 40
LONG_DEADLINE_MS = 1000
"""Missed deadlines would open the breaker, and nothing would be asked any more."""
TIMEOUT_SECONDS = 0.12
CUT_EVERY = 500
HOUR_US = 3_600_000_000

Outcome = TypeVar("Outcome")


@dataclass
class Slow:
    """A Redis behind the proxy, and a draw for who gives up when."""

    url: str
    proxy: DelayingProxy
    draw: Random = field(default_factory=lambda: Random(9))  # noqa: S311 no secret

    def patience(self) -> float:
        """Often too short for a reply."""
        return self.draw.choice((0.0005, self.draw.random() * TIMEOUT_SECONDS, 5.0))


@pytest.fixture
async def slow(place: Place) -> AsyncIterator[Slow]:
    parts = urlsplit(place.services.redis_urls[0])
    async with DelayingProxy(parts.port or 0, seed=7) as proxy:
        address = f":{parts.password}@127.0.0.1:{proxy.port}"
        yield Slow(urlunsplit((parts.scheme, address, parts.path, "", "")), proxy)


@pytest.fixture
async def connection(slow: Slow) -> AsyncIterator[RedisConnection]:
    connection = RedisConnection(slow.url, DEADLINE_MS / 1000)
    await connection.open()
    yield connection
    await connection.close()


async def test_no_caller_gets_the_reply_of_another(slow: Slow, connection: RedisConnection, report: Report) -> None:
    async def call(number: int) -> str:
        asked = b"value-%d" % number
        try:
            reply = await asyncio.wait_for(connection.call("ECHO", asked), slow.patience())
        except TimeoutError:
            return "given up"
        except LimitsUnavailable:
            return "unavailable"
        return "right" if reply == asked else "another's"

    outcomes = Counter(await in_turns(call, CALLS))
    report.tell("replies", f"{CALLS} calls: {dict(outcomes)}")
    assert outcomes["another's"] == 0
    assert outcomes["given up"] > CALLS / 10
    assert outcomes["unavailable"] > 0
    assert outcomes["right"] > 0


async def test_no_check_gets_the_decision_of_another(slow: Slow, report: Report) -> None:
    """Each asks about an account of its own, whose used units are its number."""
    limiter = Limiter([slow.url], LONG_DEADLINE_MS)
    await limiter.open()
    now = to_microseconds(utc_now())
    quota = Quota(-1, (("2026-01", now - HOUR_US, now + HOUR_US),))

    async def decide(number: int) -> str:
        seed = Seed(1, {"2026-01": number})
        asked = LimitRequest(f"acct_replies_{number}", 1, Mode.LOOK, 1, (), quota, seed)
        try:
            decision = await asyncio.wait_for(limiter.decide_one(asked), slow.patience())
        except TimeoutError:
            return "given up"
        except LimitsUnavailable:
            return "unavailable"
        return "right" if decision.used == number else "another's"

    outcomes = Counter(await in_turns(decide, CALLS // 2))
    await limiter.close()
    report.tell("decisions", f"{CALLS // 2} checks: {dict(outcomes)}")
    assert outcomes["another's"] == 0
    assert outcomes["given up"] > CALLS / 20
    assert outcomes["right"] > 0


async def test_a_cut_connection_answers_everybody_and_resends_nothing(
    place: Place, slow: Slow, connection: RedisConnection, report: Report
) -> None:
    """Each call leaves its number in a list: who got a reply is in it once, the others at most once."""
    name, cuts = f"faults:cut:{slow.proxy.port}", 0

    async def push(number: int) -> int | None:
        nonlocal cuts
        if number % CUT_EVERY == CUT_EVERY - 1:
            cuts += slow.proxy.cut()
        try:
            length: int = await connection.call("RPUSH", name, number)
        except LimitsUnavailable:
            await asyncio.sleep(slow.draw.random() * TIMEOUT_SECONDS)
            return None
        return length

    lengths = await in_turns(push, CALLS)
    async with Redis.from_url(place.services.redis_urls[0]) as redis:
        stored = [int(number) for number in await redis.lrange(name, 0, -1)]
        await redis.delete(name)
    answered = {number: length for number, length in enumerate(lengths) if length is not None}
    report.tell("cut", f"{CALLS} calls, {cuts} cuts: {len(answered)} answered, {len(stored) - len(answered)} more done")
    assert max(Counter(stored).values()) == 1
    assert all(stored[length - 1] == number for number, length in answered.items())
    assert 0 < len(answered) < CALLS
    assert cuts > 0


async def in_turns(work: Callable[[int], Awaitable[Outcome]], count: int) -> list[Outcome]:
    """`work(0)`, `work(1)`, …, so many at once."""
    slots = asyncio.Semaphore(BATCH_SIZE)

    async def one(number: int) -> Outcome:
        async with slots:
            return await work(number)

    return await asyncio.gather(*map(one, range(count)))
