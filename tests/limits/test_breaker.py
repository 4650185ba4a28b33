"""The breaker opens when the server answers neither its calls nor another connection, and never for one hiccup."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import pytest
from redis.exceptions import RedisError

from portal.core.ids import new_id
from portal.limits import Decision, Limiter, LimitRequest, LimitsUnavailable, Mode, Seed, Status, Subject, Window
from portal.limits.limiter import BREAKER_PROBE_SECONDS, MAX_BATCH, CircuitBreaker, Shard
from tests.faults.tools.deaf_proxy import DeafProxy
from tests.faults.tools.relay_proxy import RelayProxy
from tests.limits.sentinels import Server, plain_servers

DEADLINE_SECONDS = 0.1
MINUTE_US = 60_000_000
Outcome = Decision | LimitsUnavailable


@dataclass
class Lone:
    """A limiter with one shard, perhaps behind a proxy."""

    server: Server
    limiter: Limiter

    @property
    def shard(self) -> Shard:
        return self.limiter.shards()[0]

    async def ask(self, account: str = "acct_1", mode: Mode = Mode.CONSUME) -> Outcome:
        subject = Subject(account, (Window(1_000_000, MINUTE_US),))
        try:
            return await self.limiter.decide_one(
                LimitRequest(account, 1, mode, 1, (subject,), None, Seed(1, {})),
            )
        except LimitsUnavailable as error:
            return error

    async def ask_together(self, count: int, account: str = "acct_1") -> list[Outcome]:
        return await asyncio.gather(*[self.ask(account) for _ in range(count)])

    async def used(self, account: str) -> int:
        """As the server has counted, once it answers."""
        until = monotonic() + 15
        while not isinstance(decision := await self.ask(account, Mode.LOOK), Decision):
            assert monotonic() < until, decision
            await asyncio.sleep(0.02)
        return decision.states[0].used

    async def freeze(self, seconds: float) -> None:
        self.server.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.server.signal(signal.SIGCONT)


@pytest.fixture
async def lone(tmp_path: Path) -> AsyncIterator[Lone]:
    async with plain_servers(tmp_path, 1) as (server,), lone_on(server) as lone:
        yield lone


@asynccontextmanager
async def lone_on(server: Server, port: int | None = None) -> AsyncIterator[Lone]:
    parts = urlsplit(server.url)
    limiter = Limiter(
        [server.url.replace(str(parts.port), str(port or parts.port))],
        int(DEADLINE_SECONDS * 1000),
    )
    await limiter.open()
    try:
        yield Lone(server, limiter)
    finally:
        await limiter.close()


def admitted(outcomes: list[Outcome]) -> int:
    return sum(isinstance(outcome, Decision) and outcome.status is Status.ADMITTED for outcome in outcomes)


def test_it_opens_once_and_closes() -> None:
    breaker = CircuitBreaker()
    breaker.open("gone")
    breaker.open("still gone")
    assert (breaker.is_open, breaker.open_count, breaker.reason) == (True, 1, "gone")
    breaker.close()
    breaker.close()
    assert not breaker.is_open
    breaker.open("gone again")
    assert (breaker.is_open, breaker.open_count) == (True, 2)


@pytest.mark.parametrize("count", [1, 20, 500])
async def test_one_hiccup_of_the_server_opens_nothing(lone: Lone, count: int) -> None:
    """However many checks it costs: they are of one instant."""
    await lone.ask()
    hiccup = asyncio.create_task(lone.freeze(2.5 * DEADLINE_SECONDS))
    outcomes = await lone.ask_together(count)
    await hiccup
    account = new_id("acct")
    again = await lone.ask_together(count, account)
    assert admitted(outcomes) == 0
    assert admitted(again) == await lone.used(account) == count
    assert lone.shard.breaker.open_count == 0
    assert lone.shard.connection.link_count == 1


async def test_a_server_that_answers_nothing_is_left_alone_and_found_again(lone: Lone) -> None:
    await lone.ask()
    lone.server.signal(signal.SIGSTOP)
    begin = monotonic()
    while not lone.shard.breaker.is_open:
        asked = monotonic()
        assert isinstance(await lone.ask(), LimitsUnavailable)
        assert monotonic() - asked < 3 * DEADLINE_SECONDS
        assert monotonic() - begin < 20 * DEADLINE_SECONDS
    asked = monotonic()
    outcomes = [await lone.ask() for _ in range(1000)]
    assert admitted(outcomes) == 0
    assert monotonic() - asked < 10 * DEADLINE_SECONDS
    lone.server.signal(signal.SIGCONT)
    account = new_id("acct")
    begin = monotonic()
    assert await lone.used(account) == 0
    assert monotonic() - begin < BREAKER_PROBE_SECONDS + 3
    assert lone.shard.breaker.open_count == 1


async def test_what_has_not_left_waits_for_its_own_deadline_and_never_runs(lone: Lone) -> None:
    """Thousands behind a hung batch: all are told in time, and the server that goes on counts none of them."""
    account = new_id("acct")
    await lone.ask(account)
    lone.server.signal(signal.SIGSTOP)
    begin = monotonic()
    outcomes = await lone.ask_together(8 * MAX_BATCH, account)
    took = monotonic() - begin
    lone.server.signal(signal.SIGCONT)
    assert admitted(outcomes) == 0
    assert took < 5 * DEADLINE_SECONDS
    assert await lone.used(account) == 1


async def test_a_frozen_moment_refuses_the_batch_that_left_and_not_those_behind_it(lone: Lone) -> None:
    """They come later than the batch, and the server is back before their time is over."""
    account = new_id("acct")
    await lone.ask(account)
    lone.server.signal(signal.SIGSTOP)
    first = asyncio.create_task(lone.ask_together(MAX_BATCH, account))
    await asyncio.sleep(0.8 * DEADLINE_SECONDS)
    behind = asyncio.create_task(lone.ask_together(2 * MAX_BATCH, account))
    await first
    lone.server.signal(signal.SIGCONT)
    assert admitted(first.result()) == 0
    assert admitted(await behind) == 2 * MAX_BATCH
    assert await lone.used(account) == 1 + 2 * MAX_BATCH


async def test_a_stuck_connection_is_replaced_and_the_server_not_blamed(lone: Lone) -> None:
    """Packets of one connection are lost, as by a firewall that forgot it; the server is well."""
    async with OneDeaf(urlsplit(lone.server.url).port or 0) as proxy, lone_on(lone.server, proxy.port) as behind:
        assert admitted([await behind.ask()]) == 1
        proxy.deafen()
        begin = monotonic()
        while not admitted([await behind.ask()]):
            assert monotonic() - begin < 10 * DEADLINE_SECONDS
        assert behind.shard.connection.link_count == 2
        assert behind.shard.breaker.open_count == 0


async def test_a_server_that_takes_no_new_connections_and_answers_is_not_blamed(lone: Lone) -> None:
    """One answer came late, and the question over another connection is refused: calls are answered all the same."""
    await lone.ask()
    async with lone.server.client() as client:
        await client.config_set("maxclients", 2)
        hiccup = asyncio.create_task(lone.freeze(2.5 * DEADLINE_SECONDS))
        assert admitted([await lone.ask()]) == 0
        await hiccup
        until = monotonic() + 10 * DEADLINE_SECONDS
        while monotonic() < until:
            assert admitted([await lone.ask()]) == 1
        assert lone.shard.breaker.open_count == 0
        with suppress(RedisError):
            await client.config_set("maxclients", 1000)


@pytest.mark.parametrize("count", [1, 300])
async def test_who_comes_while_a_lost_link_is_replaced_waits_for_the_new_one(lone: Lone, count: int) -> None:
    """A reset connection, as by an idle timeout: nobody is answered without Redis for it."""
    async with RelayProxy(urlsplit(lone.server.url).port or 0) as proxy, lone_on(lone.server, proxy.port) as behind:
        account = new_id("acct")
        for _ in range(5):
            await behind.ask(account)
            proxy.cut()
            await asyncio.sleep(0)
            assert admitted(await behind.ask_together(count, account)) == count
            await asyncio.sleep(1.1)  # a link that lives shorter counts as a failed attempt
        assert await behind.used(account) == 5 * (count + 1)
        assert behind.shard.breaker.open_count == 0


async def test_a_lost_link_that_cannot_be_replaced_opens_it_at_once(lone: Lone) -> None:
    await lone.ask()
    lone.server.signal(signal.SIGKILL)
    await asyncio.sleep(0.05)
    begin = monotonic()
    outcomes = await lone.ask_together(100)
    assert admitted(outcomes) == 0
    assert monotonic() - begin < DEADLINE_SECONDS
    assert lone.shard.breaker.open_count == 1
    await lone.server.start()
    await lone.used(new_id("acct"))


async def test_a_refusal_is_an_answer_and_opens_nothing(lone: Lone) -> None:
    await lone.ask()
    async with lone.server.client() as client:
        await client.config_set("min-replicas-to-write", 1)
        outcomes = [await lone.ask() for _ in range(100)]
        await client.config_set("min-replicas-to-write", 0)
    assert admitted(outcomes) == 0
    assert lone.shard.breaker.open_count == 0
    await lone.used(new_id("acct"))


async def test_a_link_that_always_answers_late_opens_it_and_a_quick_one_closes_it(lone: Lone) -> None:
    async with Late(urlsplit(lone.server.url).port or 0) as proxy, lone_on(lone.server, proxy.port) as behind:
        assert admitted([await behind.ask()]) == 1
        proxy.delay_seconds = 1.3 * DEADLINE_SECONDS
        begin = monotonic()
        while not behind.shard.breaker.is_open:
            await behind.ask()
            assert monotonic() - begin < 30 * DEADLINE_SECONDS
        proxy.delay_seconds = 0.0
        await behind.used(new_id("acct"))


class OneDeaf(DeafProxy):
    """Loses the answers of those connections that were there when it was deafened."""

    def __init__(self, target_port: int) -> None:
        super().__init__(target_port)
        self._deaf: set[asyncio.StreamWriter] = set()

    def deafen(self) -> None:
        self._deaf |= self._writers

    async def forward(self, data: bytes, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        if not (is_answer and writer in self._deaf):
            await super().forward(data, writer, is_answer=is_answer)


class Late(RelayProxy):
    """Answers come so much later."""

    delay_seconds = 0.0

    async def forward(self, data: bytes, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        if is_answer:
            await asyncio.sleep(self.delay_seconds)
        await super().forward(data, writer, is_answer=is_answer)
