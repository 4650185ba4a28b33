"""A stalled process blames no Redis: no answer is degraded, and Redis has counted exactly what was answered VALID.

Server processes are frozen under check traffic (their timers, sockets and clocks as in any stall of the loop), or kept
busy by documents that a developer may send.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random

import httpx2
import pytest

from tests.faults.conftest import serve
from tests.faults.tools.check_client import CheckAnswer, CheckClient
from tests.faults.tools.outages import frozen
from tests.faults.tools.place import Customer, Place
from tests.faults.tools.processes import Served
from tests.faults.tools.report import IS_LONG, Report, sized

STALLS_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 1.6, 2.0) if IS_LONG else (0.05, 0.3, 1.2)
DEADLINE_MS = 100
BATCH_SIZE = 1000
ROUNDS = sized(40, 1000)
RETRIES, IDS = 128, 4
ATTACK_SECONDS = sized(4, 20)
ATTACKERS, CLIENTS = 4, 16
KEYS = 100
ALIASES = " ".join(f"a{n}: keys(first: 100) {{ nodes {{ id name }} }}" for n in range(15))
HOSTILE = f"{{ {ALIASES} }}"
LIMIT = (100_000_000, 60_000)
QUOTA = {"monthly_quota": 1_000_000_000}


@dataclass
class Stalling:
    served: Served
    clients: list[CheckClient]
    batches: list[CheckClient]
    draw: Random = field(default_factory=lambda: Random(12))  # noqa: S311 no secret

    async def freeze(self, seconds: float) -> None:
        """All server processes, at some moment of the next milliseconds."""
        await asyncio.sleep(self.draw.random() * 0.01)
        with frozen(self.served.children()):
            await asyncio.sleep(seconds)


@pytest.fixture(scope="module")
async def stalling(place: Place, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stalling]:
    """Two processes for everything, whose deadline the machine's own hiccups do not reach."""
    folder = tmp_path_factory.mktemp("stalls")
    portal = serve(place, folder, PORTAL_CHECK_DEADLINE_MS=str(DEADLINE_MS), PORTAL_GRAPHQL_ALLOWANCE="100000000")
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(portal)
        clients = [CheckClient(served.url, served.token, timeout_seconds=60) for _ in range(RETRIES)]
        batches = [CheckClient(served.url, served.token, path="/check/batch", timeout_seconds=60) for _ in range(5)]
        for client in [*clients, *batches]:
            stack.callback(client.close)
            await client.connect()
        yield Stalling(served, clients, batches)


@pytest.mark.parametrize("in_flight", sized([64], [1, 64, 4096]))
async def test_checks_in_flight_outlast_a_stall(
    place: Place, stalling: Stalling, report: Report, in_flight: int
) -> None:
    customer = await place.customer(LIMIT, **QUOTA)
    secret = await place.make_key(customer)
    await asyncio.gather(*[client.check({"key": secret, "cost": 0}) for client in stalling.clients])
    answers: list[dict[str, object]] = []
    for seconds in STALLS_SECONDS:
        stall = asyncio.create_task(stalling.freeze(seconds))
        answers += await _ask(stalling, secret, in_flight)
        await stall
    codes = Counter((answer["code"], answer["degraded"]) for answer in answers)
    used = await _used(stalling.clients[0], secret)
    report.tell(
        f"stalls with {in_flight} checks in flight", f"{len(STALLS_SECONDS)} stalls: {dict(codes)}, used {used}"
    )
    assert codes == {("VALID", False): in_flight * len(STALLS_SECONDS)}
    assert used == in_flight * len(STALLS_SECONDS)
    assert await _breakers(stalling.served) == {0.0}


async def test_retries_under_stalls_are_the_first_answer(place: Place, stalling: Stalling, report: Report) -> None:
    customer = await place.customer(LIMIT, **QUOTA)
    secret = await place.make_key(customer)
    codes: Counter[tuple[object, object]] = Counter()
    many: dict[str, set[str]] = {}
    for number in range(ROUNDS):
        by_id: defaultdict[str, set[str]] = defaultdict(set)

        async def retry(client: CheckClient, name: str, by_id: defaultdict[str, set[str]] = by_id) -> None:
            answer = (await client.check({"key": secret, "id": name})).document
            codes[answer["code"], answer["degraded"]] += 1
            by_id[name].add(answer["requestId"])

        names = [f"round-{number}-{n % IDS}" for n in range(RETRIES)]
        stall = asyncio.create_task(stalling.freeze(stalling.draw.choice((0, 0.03, 0.06, 0.15))))
        await asyncio.gather(*[retry(*pair) for pair in zip(stalling.clients, names, strict=True)], stall)
        many |= {name: ids for name, ids in by_id.items() if len(ids) > 1}
    used = await _used(stalling.clients[0], secret)
    report.tell(
        "retries under stalls",
        f"{ROUNDS} rounds of {RETRIES} retries of {IDS} ids: {dict(codes)}, {len(many)} ids with several answers,"
        f" used {used}",
    )
    assert many == {}
    assert codes == {("VALID", False): ROUNDS * RETRIES}
    assert used == ROUNDS * IDS


async def test_documents_that_a_developer_may_send_degrade_no_check(
    place: Place, stalling: Stalling, report: Report
) -> None:
    customer = await place.customer(LIMIT, **QUOTA)
    secret = (await place.make_keys(customer, KEYS))[0].secret
    answers: list[dict[str, object]] = []
    done = asyncio.Event()

    async def check(client: CheckClient) -> None:
        while not done.is_set():
            answers.append((await client.check({"key": secret})).document)

    async with asyncio.TaskGroup() as group:
        for client in stalling.clients[:CLIENTS]:
            group.create_task(check(client))
        attacks = [group.create_task(_attack(stalling.served.url, customer, done)) for _ in range(ATTACKERS)]
        await asyncio.sleep(ATTACK_SECONDS)
        done.set()
    statuses = sum((attack.result() for attack in attacks), Counter[int]())
    codes = Counter((answer["code"], answer["degraded"]) for answer in answers)
    used = await _used(stalling.clients[0], secret)
    report.tell(
        "hostile documents on a mixed process", f"documents: {dict(statuses)}; checks: {dict(codes)}, used {used}"
    )
    assert statuses.total() > 0
    assert codes.keys() == {("VALID", False)}
    assert used == len(answers)
    assert await _breakers(stalling.served) == {0.0}


async def _attack(url: str, customer: Customer, done: asyncio.Event) -> Counter[int]:
    """The statuses of one developer's documents, one after the other."""
    statuses: Counter[int] = Counter()
    headers = {"Authorization": f"Bearer {customer.token}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
        while not done.is_set():
            statuses[(await client.post("/graphql", json={"query": HOSTILE})).status_code] += 1
    return statuses


async def _ask(stalling: Stalling, secret: str, count: int) -> list[dict[str, object]]:
    """So many checks at once: single ones, or in batches where they are more than connections."""
    check = {"key": secret}
    if count <= len(stalling.clients):
        return [a.document for a in await asyncio.gather(*[c.check(check) for c in stalling.clients[:count]])]
    sizes = [min(BATCH_SIZE, count - begin) for begin in range(0, count, BATCH_SIZE)]
    requests = [
        client.check({"mode": "independent", "checks": [check] * size})
        for client, size in zip(stalling.batches, sizes, strict=True)
    ]
    return [result for answer in await asyncio.gather(*requests) for result in _results(answer)]


def _results(answer: CheckAnswer) -> Iterable[dict[str, object]]:
    assert answer.status == 200, answer
    results: list[dict[str, object]] = answer.document["results"]
    return results


async def _used(client: CheckClient, secret: str) -> int:
    used: int = (await client.check({"key": secret, "cost": 0})).document["quota"]["used"]
    return used


async def _breakers(served: Served) -> set[float]:
    """How often each process has opened its breaker."""
    values = set()
    for _ in range(20):
        async with httpx2.AsyncClient(base_url=served.url) as http:
            text = (await http.get("/metrics")).text
        lines = [line for line in text.splitlines() if line.startswith("portal_shard_breaker_opened_total{")]
        values |= {float(line.rsplit(" ", 1)[1]) for line in lines}
    return values
