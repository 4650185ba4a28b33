"""A portal on three shards, one of which hangs or dies: who is on the others gets the same answers as ever."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median
from time import monotonic, perf_counter

import httpx2
import pytest

from portal.core.redis.ring import RendezvousRing
from tests.faults.conftest import serve
from tests.faults.tools.check_client import CheckAnswer, CheckClient
from tests.faults.tools.place import Place
from tests.faults.tools.processes import Served
from tests.faults.tools.report import Report, sized
from tests.limits.sentinels import Server, plain_servers

DEADLINE_MS = 200
ANSWER_MS = 50
CLIENTS = 48
AWAY_SECONDS = sized(3, 20)
BACK_SECONDS = 15.0
METRICS_ASKED = 40
PLAN = {"failure_policy": "local", "is_overage_allowed": True}
LIMIT = (1_000_000, 60_000)
Told = tuple[int, str, bool]


@dataclass
class Spread:
    """A portal, its shards, a key of an account on each, and clients enough for two swarms."""

    served: Served
    shards: list[Server]
    keys: list[str]
    clients: list[CheckClient]

    async def ask(self, keys: Iterable[str], half: int = 0) -> list[tuple[Told, float]]:
        """Each key by all clients of a half at once; what was told and the milliseconds that it took.

        Whole answers would be so many objects that collecting garbage among them takes this process a second.
        """

        async def one(client: CheckClient, key: str) -> tuple[Told, float]:
            begin = perf_counter()
            answer = await client.check({"key": key})
            return _told(answer), (perf_counter() - begin) * 1000

        return [
            told for key in keys for told in await asyncio.gather(*[one(each, key) for each in self.clients[half::2]])
        ]

    async def metrics(self) -> str:
        """Of every process: each connection is answered by one of them, so many are asked."""
        texts = set()
        for _ in range(METRICS_ASKED):
            async with httpx2.AsyncClient(base_url=self.served.url) as http:
                texts.add((await http.get("/metrics")).text)
        return "".join(texts)


@pytest.fixture(scope="module")
async def spread(place: Place, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Spread]:
    folder = tmp_path_factory.mktemp("shards")
    async with AsyncExitStack() as stack:
        shards = await stack.enter_async_context(plain_servers(folder, 3))
        urls = ",".join(shard.url for shard in shards)
        keys = await _a_key_each(place, shards)
        portal = serve(place, folder, PORTAL_REDIS_URLS=urls, PORTAL_CHECK_DEADLINE_MS=str(DEADLINE_MS))
        served = await stack.enter_async_context(portal)
        clients = [CheckClient(served.url, place.service_token) for _ in range(CLIENTS)]
        for client in clients:
            stack.callback(client.close)
        yield Spread(served, shards, keys, clients)


@pytest.mark.parametrize("number", sized([signal.SIGSTOP], [signal.SIGSTOP, signal.SIGKILL]))
async def test_the_other_two_shards_never_notice(spread: Spread, report: Report, number: signal.Signals) -> None:
    await _until_whole(spread)
    lonely, *well = spread.keys
    spread.shards[0].signal(number)
    try:
        away, others = [], []
        until = monotonic() + AWAY_SECONDS
        while monotonic() < until:
            told, both = await asyncio.gather(spread.ask([lonely], 0), spread.ask(well, 1))
            away += told
            others += both
        text = await spread.metrics()
    finally:
        if number is signal.SIGSTOP:
            spread.shards[0].signal(signal.SIGCONT)
        else:
            await spread.shards[0].start()
    slow = sorted(took for _, took in others)
    report.tell(
        f"one of three shards, {number.name}",
        f"{len(away)} of its own, p50 {median(took for _, took in away):.1f} ms;"
        f" {len(others)} of the others, p50 {median(slow):.1f} ms, most {slow[-1]:.1f} ms",
    )
    assert {told for told, _ in others} == {(200, "VALID", False)}
    assert (200, "VALID", True) in {told for told, _ in away}
    assert {status for (status, *_), _ in away} == {200}
    assert median(took for _, took in away) < ANSWER_MS
    if number is signal.SIGSTOP:
        assert max(_values(text, "portal_shard_breaker_opened_total", spread.shards[0])) > 0
    assert set(_values(text, "portal_shard_breaker_opened_total", spread.shards[1])) == {0.0}
    assert set(_values(text, "portal_shard_connected", spread.shards[1])) == {1.0}
    assert 'portal_checks_degraded_total{outcome="admitted",policy="local"}' in text
    await _until_whole(spread)


async def _a_key_each(place: Place, shards: list[Server]) -> list[str]:
    ring = RendezvousRing([(shard.name, shard.name) for shard in shards])
    keys: dict[str, str] = {}
    while len(keys) < len(shards):
        customer = await place.customer(LIMIT, **PLAN)
        name = ring.of(customer.actor.account_id)
        if name not in keys:
            keys[name] = await place.make_key(customer)
    return [keys[shard.name] for shard in shards]


async def _until_whole(spread: Spread) -> None:
    """Until every process decides with every shard."""
    until = monotonic() + BACK_SECONDS
    while {told for told, _ in await spread.ask(spread.keys)} != {(200, "VALID", False)}:
        assert monotonic() < until
        await asyncio.sleep(0.1)


def _values(text: str, metric: str, shard: Server) -> list[float]:
    """The metric's values for a shard, of every process that told."""
    line = rf'^{metric}{{shard="{re.escape(shard.name)}"}} (\S+)$'
    return [float(value) for value in re.findall(line, text, re.MULTILINE)]


def _told(answer: CheckAnswer) -> Told:
    """Status, code, whether it is degraded."""
    return answer.status, answer.document.get("code", ""), answer.document.get("degraded", False)
