"""The loop's clock passes as the loop does: a stall counts for two ticks at most, and nothing unread is called late."""

import asyncio
import socket
import time
from collections.abc import Callable

import pytest
import uvloop

from portal.limits.loop_clock import LoopClock

TICK = 0.005
RUNS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run])


class Waiter:
    """Waits until `ends`, and notes what it is told."""

    def __init__(self, clock: LoopClock, ends: float) -> None:
        self.told: list[float] = []
        self._ends = ends
        clock.watch(self.tell)
        clock.now()

    def tell(self, now: float) -> bool:
        self.told.append(now)
        return now < self._ends


@RUNS
@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.5])
def test_a_stall_counts_for_two_ticks(run: Callable[..., None], seconds: float) -> None:
    async def scenario() -> None:
        clock = LoopClock(TICK)
        waiter = Waiter(clock, 10 * TICK)
        for _ in range(3):
            before = clock.now()
            stall(seconds)
            assert clock.now() - before <= 2 * TICK + 1e-9
            await asyncio.sleep(0.001)
        assert waiter.told == sorted(waiter.told)
        assert clock.ticked <= 3 * 3 * TICK

    run(scenario())


@RUNS
def test_it_passes_like_any_clock_while_the_loop_is_free_and_stands_still_when_nobody_waits(
    run: Callable[..., None],
) -> None:
    async def scenario() -> None:
        clock = LoopClock(TICK)
        waiter = Waiter(clock, 4 * TICK)
        await asyncio.sleep(40 * TICK)
        assert waiter.told[-1] >= 4 * TICK
        stopped, count = clock.ticked, len(waiter.told)
        await asyncio.sleep(10 * TICK)
        assert (clock.ticked, len(waiter.told)) == (stopped, count)
        assert clock.now() == stopped

    run(scenario())


@RUNS
@pytest.mark.parametrize("stalls", [1, 2, 5])
def test_what_arrives_during_a_stall_is_read_before_its_time_is_over(run: Callable[..., None], stalls: int) -> None:
    """A reply lies in the socket while every timer is overdue."""

    async def scenario() -> None:
        clock, events = LoopClock(TICK), []

        class Reader(asyncio.Protocol):
            def data_received(self, data: bytes) -> None:
                events.append("read")

        ours, theirs = socket.socketpair()
        transport, _ = await asyncio.get_running_loop().create_connection(Reader, sock=ours)
        ends = clock.now() + TICK

        def tell(now: float) -> bool:
            if now >= ends:
                events.append("late")
            return now < ends

        clock.watch(tell)
        theirs.send(b"x")
        for _ in range(stalls):
            stall(0.05)
        await asyncio.sleep(20 * TICK)
        assert events == ["read", "late"]
        transport.close()
        theirs.close()

    run(scenario())


@RUNS
def test_a_timeout_by_it_ends_what_never_ends_and_only_that(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        clock = LoopClock(TICK)
        async with clock.timeout(5 * TICK):
            for _ in range(4):
                stall(0.05)
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with clock.timeout(5 * TICK):
                await asyncio.Event().wait()
        with pytest.raises(ZeroDivisionError):
            async with clock.timeout(5 * TICK):
                raise ZeroDivisionError

    run(scenario())


def stall(seconds: float) -> None:
    time.sleep(seconds)
