"""After a revocation was answered nothing says VALID, on any process; with an open circuit breaker, not after 2 s."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from time import monotonic_ns

import httpx2
import pytest

from portal import keys
from portal.limits import LimitRequest, Mode, Seed, Status
from tests.faults.conftest import serve
from tests.faults.tools.check_client import CheckClient
from tests.faults.tools.client_process import Plan
from tests.faults.tools.oracle import node_of
from tests.faults.tools.outages import frozen
from tests.faults.tools.place import Customer, Place, ask_graphql
from tests.faults.tools.processes import SERVERS, Served, Swarm
from tests.faults.tools.report import Report, sized

REVOCATIONS = sized(20, 1000)
PAUSES = sized(20, 300)
PROCESSES = 3
PAUSE_SECONDS = 0.05
SILENT_SECONDS = 0.6
"""Longer than the deadline, shorter than a silence that ends the connection, which would close the breaker."""
OBSERVED_SECONDS = 3.5
KNOWN_SECONDS = 3.0
CHANGED = "{ __typename ... on KeyChanged { key { id } } ... on Problem { code message } }"


@pytest.fixture(scope="module")
async def served(place: Place, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """No worker beside it: the outbox relay would repeat what the edge must have done by itself."""
    folder = tmp_path_factory.mktemp("served")
    async with serve(place, folder, has_worker=False, PORTAL_CHECK_DEADLINE_MS="1000") as served:
        yield served


@pytest.fixture
async def prompt(place: Place, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """Servers that wait so briefly for Redis that a short silence opens their circuit breakers."""
    folder = tmp_path_factory.mktemp("prompt")
    async with serve(place, folder, has_worker=False, PORTAL_CHECK_DEADLINE_MS="50") as served:
        yield served


async def test_nothing_is_valid_after_a_revocation_was_answered(
    place: Place, served: Served, report: Report, tmp_path: Path
) -> None:
    """The keys of two accounts in turn: each revocation also makes the other keys' policies old."""
    customers = [await place.customer(), await place.customer()]
    created = [(await place.make_keys(customers[number % 2]))[0] for number in range(REVOCATIONS)]
    secrets = [one.secret for one in created]
    plan = Plan(
        served.url, place.service_token, secrets, str(tmp_path / "swarm"), processes=PROCESSES, connections=4,
        is_following=True,
    )  # fmt: skip
    async with Swarm(served, plan) as swarm, httpx2.AsyncClient(base_url=served.url) as http:
        revoked_ns = await _revoke_all(http, customers, created)
        await asyncio.sleep(0.5)
    late = [noted for noted in swarm.notes if noted.sent_ns > revoked_ns[noted.key]]
    early = [noted for noted in swarm.notes if noted.heard_ns < revoked_ns[noted.key]]
    codes = Counter(noted.code for noted in late)
    report.tell(
        "revocation",
        f"{REVOCATIONS} revoked under {len(swarm.notes)} checks by {PROCESSES} processes;"
        f" sent after the answer: {dict(codes)}; before: {dict(Counter(noted.code for noted in early))}",
    )
    assert {noted.status for noted in swarm.notes} == {200}
    assert codes.keys() == {"REVOKED"}
    assert len({noted.key for noted in late}) == REVOCATIONS
    assert len({noted.key for noted in early if noted.valid}) > REVOCATIONS / 2
    assert len({node_of(noted.request_id) for noted in swarm.notes}) == SERVERS


async def test_a_pause_and_a_resumption_work_at_once_everywhere(
    place: Place, served: Served, report: Report, tmp_path: Path
) -> None:
    customer = await place.customer()
    (created,) = await place.make_keys(customer)
    seen: Counter[tuple[str, str]] = Counter()
    plan = Plan(
        served.url, place.service_token, [created.secret], str(tmp_path / "swarm"), processes=SERVERS, connections=1
    )
    async with (
        Swarm(served, plan) as swarm,
        served.a_client_each() as clients,
        httpx2.AsyncClient(base_url=served.url) as http,
    ):
        for _ in range(PAUSES):
            for verb in ("pauseKey", "resumeKey"):
                await _change(http, customer, verb, created.key.id)
                seen.update((verb, code) for code in await _codes(clients, created.secret))
    report.tell(
        "pause and resume",
        f"{PAUSES} times under {len(swarm.notes)} checks: {_told(seen)}",
    )
    assert seen.keys() == {("pauseKey", "DISABLED"), ("resumeKey", "VALID")}
    assert {noted.status for noted in swarm.notes} == {200}
    assert {noted.code for noted in swarm.notes} <= {"VALID", "DISABLED"}


async def test_with_an_open_breaker_a_revocation_is_known_soon(
    place: Place, prompt: Served, report: Report, tmp_path: Path
) -> None:
    """The shard says nothing: no script refuses the old policy, so PostgreSQL is asked for newer ones."""
    customer = await place.customer(failure_policy="open")
    (created,) = await place.make_keys(customer)
    plan = Plan(
        prompt.url, place.service_token, [created.secret], str(tmp_path / "swarm"), processes=SERVERS, connections=8
    )
    async with Swarm(prompt, plan) as swarm, httpx2.AsyncClient(base_url=prompt.url) as http:
        with frozen([place.services.valkey_pid]):
            await asyncio.sleep(SILENT_SECONDS)
            await _change(http, customer, "revokeKey", created.key.id)
            revoked_ns = monotonic_ns()
            await asyncio.sleep(OBSERVED_SECONDS)
    late = [noted for noted in swarm.notes if noted.sent_ns > revoked_ns]
    admitted = [noted for noted in late if noted.valid]
    longest = max([noted.sent_ns - revoked_ns for noted in admitted], default=0) / 1e9
    refused = Counter(node_of(noted.request_id) for noted in late if noted.code == "REVOKED" and noted.is_degraded)
    report.tell("revocation, breaker open", f"{len(admitted)} of {len(late)} admitted, until {longest:.2f} s after it")
    assert longest < KNOWN_SECONDS
    assert all(noted.is_degraded for noted in admitted)
    assert refused  # at least one server answered without the script, and refused
    assert {noted.code for noted in late} <= {"VALID", "REVOKED"}


async def test_a_seed_read_before_a_change_cannot_undo_it(place: Place) -> None:
    """The account's record was lost; a check reads the seed, the key is revoked, and only then the seed arrives."""
    limiter = place.parts.limiter
    asked = LimitRequest("acct_late_seed", 1, Mode.CONSUME, 1, (), None, Seed(1, {}))
    await limiter.raise_policy_version(asked.account_id, 2)
    assert (await limiter.decide_one(asked)).status is Status.STALE


async def _revoke_all(http: httpx2.AsyncClient, customers: list[Customer], created: list[keys.CreatedKey]) -> list[int]:
    """When each revocation had been answered."""
    draw, answered = Random(3), []  # noqa: S311 no secret
    for number, one in enumerate(created):
        await asyncio.sleep(draw.random() * PAUSE_SECONDS)
        await _change(http, customers[number % 2], "revokeKey", one.key.id)
        answered.append(monotonic_ns())
    return answered


async def _change(http: httpx2.AsyncClient, customer: Customer, verb: str, key_id: str) -> None:
    document = f"mutation ($id: ID!) {{ done: {verb}(id: $id) {CHANGED} }}"
    done = (await ask_graphql(http, customer, document, id=key_id))["done"]
    assert done == {"__typename": "KeyChanged", "key": {"id": key_id}}


async def _codes(clients: list[CheckClient], secret: str) -> list[str]:
    answers = await asyncio.gather(*[client.check({"key": secret}) for client in clients])
    return [answer.document["code"] for answer in answers]


def _told(seen: Counter[tuple[str, str]]) -> str:
    return ", ".join(f"{code} after {verb} {count}" for (verb, code), count in seen.items())
