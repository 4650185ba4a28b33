"""A loop that stalls finds no fault with Redis: nothing is refused, and Redis has counted exactly what was answered.

The loop is blocked at every point of a check's way: before it leaves, after, when the answer has arrived, while it is
handed on, in every turn; with one check in flight and with thousands; on asyncio's own loop and on uvloop's.
"""

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import uvloop

from portal.core.clock import to_microseconds, utc_now
from portal.core.embedded import EmbeddedServices
from portal.core.ids import new_id
from portal.limits import Decision, Limiter, LimitRequest, LimitsUnavailable, Mode, Quota, Seed, Status, Subject, Window
from tests.faults.tools.report import IS_LONG

Run = Callable[[Coroutine[Any, Any, None]], None]
DEADLINES_MS = (25, 100, 1000) if IS_LONG else (100,)
STALLS_SECONDS = (0.05, 0.15, 0.3, 0.7, 1.2, 2.0) if IS_LONG else (0.15, 0.5)
IN_FLIGHT = (1, 2, 15, 16, 17, 127, 128, 129, 600, 4096) if IS_LONG else (1, 129, 4096)
WHERE = ("before it leaves", "when it has left", "a turn later", "while answers are handed on")
TURNS = 12 if IS_LONG else 6
PERIOD = "2026-11"
HOUR_US = 3_600_000_000
PATIENCE_SECONDS = 60


@dataclass
class Stalled:
    """Checks of one account, and what they were answered."""

    limiter: Limiter
    account: str = field(default_factory=lambda: new_id("acct"))
    outcomes: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    _all_answered: asyncio.Event = field(default_factory=asyncio.Event)
    on_answer: Callable[[], None] | None = None
    """Called at the next answer, once."""

    def ask(self, count: int) -> None:
        self.asked += count
        self._all_answered.clear()
        for _ in range(count):
            self.limiter.decide(self._request(1), self._note)

    async def until_answered(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._all_answered.wait()

    async def assert_exact(self) -> None:
        """Nothing was refused; Redis has what was answered, not one unit more."""
        await self.until_answered()
        counted = await self.limiter.decide_one(self._request(0))
        assert self.outcomes == {Status.ADMITTED.name: self.asked}
        assert counted.used == self.asked
        assert counted.states[0].used == self.asked
        assert [shard.breaker.open_count for shard in self.limiter.shards()] == [0]
        assert [shard.connection.link_count for shard in self.limiter.shards()] == [1]

    def _request(self, cost: int) -> LimitRequest:
        now = to_microseconds(utc_now())
        quota = Quota(-1, ((PERIOD, now - HOUR_US, now + HOUR_US),))
        subject = Subject(self.account, (Window(1_000_000, HOUR_US),))
        return LimitRequest(self.account, 1, Mode.CONSUME, cost, (subject,), quota, Seed(1, {PERIOD: 0}))

    def _note(self, outcome: Decision | LimitsUnavailable) -> None:
        if self.on_answer is not None:
            on_answer, self.on_answer = self.on_answer, None
            on_answer()
        self.outcomes[outcome.status.name if isinstance(outcome, Decision) else str(outcome)] += 1
        if self.outcomes.total() == self.asked:
            self._all_answered.set()


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run to the end on a loop of this kind. What garbage an earlier test left is no stall of this one."""
    gc.collect()
    return uvloop.run if request.param == "uvloop" else asyncio.run


async def stalled(services: EmbeddedServices, deadline_ms: int, scenario: Callable[[Stalled], Any]) -> None:
    limiter = Limiter(services.redis_urls, deadline_ms)
    await limiter.open()
    try:
        checks = Stalled(limiter)
        await limiter.decide_one(checks._request(0))
        await scenario(checks)
        await checks.assert_exact()
    finally:
        await limiter.close()


@pytest.mark.parametrize("deadline_ms", DEADLINES_MS)
@pytest.mark.parametrize("seconds", STALLS_SECONDS)
@pytest.mark.parametrize("where", WHERE)
def test_one_stall(services: EmbeddedServices, run: Run, deadline_ms: int, seconds: float, where: str) -> None:
    async def scenario(checks: Stalled) -> None:
        for count in IN_FLIGHT:
            if where == "before it leaves":
                asyncio.get_running_loop().call_soon(time.sleep, seconds)
            elif where == "while answers are handed on":
                checks.on_answer = partial(time.sleep, seconds)
            checks.ask(count)
            if where == "when it has left":
                asyncio.get_running_loop().call_soon(time.sleep, seconds)
            elif where == "a turn later":
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                stall(seconds)
            await checks.until_answered()

    run(stalled(services, deadline_ms, scenario))


@pytest.mark.parametrize("deadline_ms", DEADLINES_MS)
@pytest.mark.parametrize("seconds", STALLS_SECONDS[: 3 if IS_LONG else 1])
@pytest.mark.parametrize("count", IN_FLIGHT)
def test_every_turn_stalls(services: EmbeddedServices, run: Run, deadline_ms: int, seconds: float, count: int) -> None:
    """As under hostile documents: turn after turn is long, and checks go on coming."""

    async def scenario(checks: Stalled) -> None:
        for _ in range(TURNS):
            checks.ask(-(-count // TURNS))
            stall(seconds)
            await asyncio.sleep(0)
            stall(seconds / 4)
            await asyncio.sleep(0.001)

    run(stalled(services, deadline_ms, scenario))


def stall(seconds: float) -> None:
    time.sleep(seconds)
