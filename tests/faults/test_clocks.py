"""Clocks an hour off, and clocks that jump: of Redis under a limiter, and of server processes on one Redis."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from portal import keys
from portal.core.ids import new_id
from portal.limits import Decision, Limiter, LimitsUnavailable, Seed, Status
from tests.faults.conftest import serve
from tests.faults.tools.asked import Asked
from tests.faults.tools.assault import ALGORITHMS, COSTS, PERIOD_US, WINDOWS, Judged, Ledger, request_of
from tests.faults.tools.check_client import CheckClient
from tests.faults.tools.clocks import HOUR, wrong_clock
from tests.faults.tools.oracle import most_in_window, wrong_denials
from tests.faults.tools.place import Place
from tests.faults.tools.processes import Served
from tests.faults.tools.report import Report, sized
from tests.limits.sentinels import SERVER, Server

LIMITERS, CONCURRENT = 8, 64
BURSTS = sized(3, 60)
JUMPS = sized(10, 80)
JUMP_SECONDS = (HOUR, -HOUR, HOUR, -2 * HOUR, 5 * HOUR, -0.05, -0.5, 0.05, -HOUR, 0.2)
LIMIT, WINDOW_MS = 100, 1500
ROUNDS = sized(20, 400)


@dataclass
class Stretch:
    """Between two jumps: what was decided, by Redis's clock, which only goes forward meanwhile."""

    admitted: list[tuple[int, int]] = field(default_factory=list)
    touched: list[int] = field(default_factory=list)
    failures: int = 0
    longest_wait_us: int = 0

    def note(self, outcome: Decision, cost: int) -> None:
        self.touched.append(outcome.now_us)
        if outcome.status is Status.ADMITTED:
            self.admitted.append((outcome.now_us, cost))
        self.longest_wait_us = max([self.longest_wait_us, *[state.retry_us for state in outcome.states]])


def straightened(stretches: Sequence[Stretch]) -> Iterator[tuple[int, int]]:
    """Admissions by a clock that stands still where Redis's went back: no more time passes by it than really did."""
    shift, last = 0, 0
    for stretch in stretches:
        if not stretch.touched:
            continue
        shift += max(0, last - min(stretch.touched)) if last else 0
        yield from ((at + shift, units) for at, units in stretch.admitted)
        last = max(stretch.touched)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_redis_whose_clock_jumps_admits_no_more(tmp_path: Path, report: Report, algorithm: str) -> None:
    """A jump forward is time that has passed, for all that Redis can know; one backward must not give anything back."""
    clock = wrong_clock(tmp_path / "time")
    server = Server(tmp_path / "redis", SERVER, environment=clock.environment)
    jumps, offset, stretches, random = [*JUMP_SECONDS], 0.0, [], Random(6)  # noqa: S311 the same jumps each time
    jumps += [random.choice([-1, 1]) * random.uniform(0, 2 * HOUR) for _ in range(JUMPS - len(jumps))]
    await server.start()
    limiters = [Limiter([server.url], 1000) for _ in range(LIMITERS)]
    try:
        await asyncio.gather(*[limiter.open() for limiter in limiters])
        name = new_id("t")
        for jump in [0.0, *jumps]:
            offset += jump
            clock.set(offset)
            stretches.append(await _assail(limiters, algorithm, name))
    finally:
        await asyncio.gather(*[limiter.close() for limiter in limiters])
        server.stop()
    judged = _judge(algorithm, stretches)
    decisions = sum(len(stretch.touched) for stretch in stretches)
    report.tell(
        f"Redis's clock jumps, {algorithm}",
        f"{len(jumps)} jumps of up to {max(map(abs, jumps)) / HOUR:g} h, {decisions} decisions, {judged.over} over;"
        f" {sum(stretch.failures for stretch in stretches)} checks found Redis too late after a jump forward",
    )
    assert decisions > len(stretches) * CONCURRENT
    assert judged.over == 0
    if algorithm == "sliding_window":
        assert max(stretch.longest_wait_us for stretch in stretches) <= WINDOWS[-1].window_us


def _judge(algorithm: str, stretches: Sequence[Stretch]) -> Judged:
    """A quota counts the month that Redis names, whatever happened between."""
    if algorithm == "calendar":
        return Ledger([entry for stretch in stretches for entry in stretch.admitted]).judge(algorithm, [])
    return Ledger(straightened(stretches)).judge(algorithm, [])


async def _assail(limiters: Sequence[Limiter], algorithm: str, name: str) -> Stretch:
    stretch, now_us = Stretch(), [0]

    async def ask(limiter: Limiter, number: int, seed: Seed | None = None) -> None:
        cost = COSTS[number % len(COSTS)]
        request = request_of(algorithm, name, cost, now_us[0])
        request.seed = seed or request.seed
        try:
            outcome = await limiter.decide_one(request)
        except LimitsUnavailable:
            stretch.failures += 1
            return
        now_us[0] = outcome.now_us
        if outcome.status is Status.STALE:
            await ask(limiter, number, seed)
        elif outcome.status is Status.UNSEEDED:
            await ask(limiter, number, Seed(1, {str(outcome.now_us // PERIOD_US): 0}))
        else:
            stretch.note(outcome, cost)

    for _ in range(BURSTS):
        await asyncio.gather(*[ask(limiter, number) for limiter in limiters for number in range(CONCURRENT)])
    return stretch


async def test_processes_an_hour_apart_share_one_limit(place: Place, report: Report, tmp_path: Path) -> None:
    """One is an hour ahead, one an hour late, and its clock jumps meanwhile; limit, quota and ledger stay exact."""
    customer = await place.customer((LIMIT, WINDOW_MS), monthly_quota=1_000_000)
    secret = await place.make_key(customer)
    ahead, late = wrong_clock(tmp_path / "ahead", HOUR), wrong_clock(tmp_path / "late", -HOUR)
    asked = Asked()
    deadline = {"PORTAL_CHECK_DEADLINE_MS": "1000"}
    async with (
        serve(place, ahead.file.parent, servers=1, has_worker=True, **ahead.environment, **deadline) as first,
        serve(place, late.file.parent, servers=1, has_worker=True, **late.environment, **deadline) as second,
        CheckClient(first.url, first.token) as one,
        CheckClient(second.url, second.token) as other,
    ):
        for number in range(ROUNDS):
            await asyncio.gather(*[_ask_often(asked, client, secret) for client in (one, other)])
            late.set((number % 3 - 1) * HOUR)
        admitted, denied = asked.instants("VALID"), asked.instants("RATE_LIMITED")
        report.tell(
            "processes an hour ahead and late",
            f"{len(asked.answers)} checks, {len(admitted)} admitted,"
            f" at most {most_in_window(admitted, WINDOW_MS * 1000)} of {LIMIT} in any {WINDOW_MS} ms",
        )
        assert len(admitted) + len(denied) == len(asked.answers)
        assert most_in_window(admitted, WINDOW_MS * 1000) == LIMIT
        assert wrong_denials(admitted, denied, LIMIT, WINDOW_MS * 1000) == []
        await place.await_stored(asked.ids())
        assert (await place.ledgers(customer.actor.account_id)).billable == len(admitted)


async def _ask_often(asked: Asked, client: CheckClient, secret: str) -> None:
    for _ in range(20):
        await asked.ask(client, secret)


@pytest.mark.parametrize(("seconds", "expected"), sized([(HOUR, "VALID")], [(HOUR, "VALID"), (-HOUR, "EXPIRED")]))
async def test_an_expiry_goes_by_redis_and_not_by_the_process(
    place: Place, portal: Served, tmp_path: Path, seconds: int, expected: str
) -> None:
    """Also of the first check after the start, before which Redis has decided nothing for the process."""
    customer = await place.customer((LIMIT, WINDOW_MS))
    async with CheckClient(portal.url, portal.token) as client:
        assert (await client.check({"key": await place.make_key(customer)})).document["valid"]
    clock = wrong_clock(tmp_path / "clock", seconds)
    async with place.parts.database.transaction(customer.actor.account_id) as tx:
        lives = timedelta(minutes=30) if expected == "VALID" else timedelta(milliseconds=50)
        made = await keys.create_key(tx, customer.actor, keys.NewKey("short", expires_at=tx.now + lives))
    await asyncio.sleep(0.1)
    async with (
        serve(place, clock.file.parent, servers=1, has_worker=False, **clock.environment) as served,
        CheckClient(served.url, served.token) as client,
    ):
        told = [(await client.check({"key": made.secret})).document["code"] for _ in range(3)]
    assert told == [expected] * 3
    assert "clock_wrong" in served.log("serve")
