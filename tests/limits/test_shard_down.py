"""One shard of three hangs: its breaker opens and it is found again; the others never notice."""

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic

import pytest

from portal.limits import Decision, Limiter, LimitRequest, LimitsUnavailable, Mode, Retry, Seed, Status, Subject, Window
from portal.limits.limiter import BREAKER_PROBE_SECONDS, Shard
from tests.limits.sentinels import Server, plain_servers, until

DEADLINE_SECONDS = 0.1
MUCH = 1_000_000
HANG_SECONDS = 2.0


@dataclass
class Three:
    servers: list[Server]
    limiter: Limiter

    def account_on(self, server: Server) -> str:
        names = (f"acct_{number}" for number in range(1000))
        return next(name for name in names if self.shard(name).connection.name == server.name)

    def shard(self, account: str) -> Shard:
        return self.limiter.shard_of(account)

    async def decide(self, account: str) -> tuple[Decision | None, float]:
        """None: no decision; and how long it took."""
        subject = Subject(account, (Window(MUCH, 60_000_000),))
        begin = monotonic()
        try:
            asked = LimitRequest(account, 1, Mode.CONSUME, 1, (subject,), None, Seed(1, {}))
            return await self.limiter.decide_one(asked), monotonic() - begin
        except LimitsUnavailable:
            return None, monotonic() - begin


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Three]:
    async with plain_servers(tmp_path, 3) as servers:
        limiter = Limiter([server.url for server in servers], int(DEADLINE_SECONDS * 1000))
        await limiter.open()
        yield Three(servers, limiter)
        await limiter.close()


async def test_a_hung_shard_is_left_alone_soon_and_found_again(three: Three) -> None:
    hung = three.servers[0]
    account = three.account_on(hung)
    assert (await three.decide(account))[0] is not None
    hung.signal(signal.SIGSTOP)
    try:
        together = await asyncio.gather(*[three.decide(account) for _ in range(40)])
        assert {decision for decision, _ in together} == {None}
        assert max(took for _, took in together) < 3 * DEADLINE_SECONDS
        await until(lambda: is_open(three.shard(account)), "the breaker does not open")
        afterwards = [await three.decide(account) for _ in range(200)]
        assert {decision for decision, _ in afterwards} == {None}
        assert median(took for _, took in afterwards) < DEADLINE_SECONDS / 20
    finally:
        hung.signal(signal.SIGCONT)
    begin = monotonic()
    while (await three.decide(account))[0] is None:
        assert monotonic() - begin < BREAKER_PROBE_SECONDS + 3
        await asyncio.sleep(0.02)


async def is_open(shard: Shard) -> bool:
    return shard.breaker.is_open


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
async def test_the_other_shards_never_notice(three: Three, number: signal.Signals) -> None:
    away, *others = three.servers
    lonely, well = three.account_on(away), [three.account_on(server) for server in others]
    for account in (lonely, *well):
        assert (await three.decide(account))[0] is not None
    away.signal(number)
    refused = answered = 0
    try:
        until = monotonic() + HANG_SECONDS
        while monotonic() < until:
            # Those of the shard that is away go first, and nobody waits for them.
            waiting = asyncio.gather(*[three.decide(lonely) for _ in range(10)])
            for account in well * 5:
                decision, _ = await three.decide(account)
                assert decision is not None
                assert decision.status is Status.ADMITTED
                answered += 1
            refused += [decision for decision, _ in await waiting].count(None)
    finally:
        if number is signal.SIGSTOP:
            away.signal(signal.SIGCONT)
    assert refused > 100
    assert answered > 100
    assert [shard.breaker.open_count > 0 for shard in three.limiter.shards()] == [True, False, False]


async def test_each_shard_is_pinged_by_its_own_name(three: Three) -> None:
    three.servers[1].signal(signal.SIGKILL)
    await asyncio.sleep(0.05)
    assert await three.limiter.ping() == [(server.name, at != 1) for at, server in enumerate(three.servers)]


async def test_a_server_that_takes_no_writes_is_not_mistaken_for_a_broken_state(three: Three) -> None:
    server = three.servers[0]
    account = three.account_on(server)
    await three.decide(account)
    async with server.client() as client:
        await client.config_set("min-replicas-to-write", 1)
    subject = Subject(account, (Window(MUCH, 60_000_000),))
    asked = LimitRequest(account, 1, Mode.CONSUME, 1, (subject,), None, retry=Retry(("id",), "blob", "digest"))
    with pytest.raises(LimitsUnavailable, match="NOREPLICAS"):
        await three.limiter.decide_one(asked)
    async with server.client() as client:
        await client.config_set("min-replicas-to-write", 0)


async def test_what_cannot_be_encoded_does_not_stop_its_shard(three: Three) -> None:
    account = three.account_on(three.servers[0])
    subject = Subject(account, (Window(2**70, 60_000_000),))
    asked = LimitRequest(account, 1, Mode.CONSUME, 1, (subject,), None)
    with pytest.raises(LimitsUnavailable):
        await three.limiter.decide_one(asked)
    assert (await three.decide(account))[0] is not None
