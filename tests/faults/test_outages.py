"""Redis or PostgreSQL away: what still answers and how, and that everything is exact again afterwards."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from statistics import median
from time import monotonic

import httpx2
import pytest
from redis.asyncio import Redis

from tests.faults.conftest import serve
from tests.faults.tools.asked import Asked
from tests.faults.tools.check_client import CheckAnswer, CheckClient
from tests.faults.tools.oracle import most_in_window, wrong_denials
from tests.faults.tools.outages import frozen, postgres_away, redis_away
from tests.faults.tools.place import PASSWORD, Customer, Place
from tests.faults.tools.processes import Served
from tests.faults.tools.report import Report, sized
from tests.web.conftest import SAME_ORIGIN

LIMIT = 100
WINDOW_MS = 1500
AWAY_SECONDS = sized(2, 20)
BACK_SECONDS = 15.0
MAX_USUAL_MS = 250.0
QUOTA = 200
NOT_INGESTED = 30
VIEWER = {"query": "{ viewer { person { email } } }"}


@pytest.fixture(scope="module")
async def prompt(place: Place, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """Waits for Redis as long as by default. On a busy machine that is too short now and then: tests allow for it."""
    async with serve(place, tmp_path_factory.mktemp("prompt"), servers=1) as served:
        yield served


@pytest.mark.parametrize("how", sized(["frozen"], ["frozen", "killed"]))
async def test_without_redis_the_plan_s_policy_answers(place: Place, prompt: Served, report: Report, how: str) -> None:
    generous = await place.customer((LIMIT, WINDOW_MS), failure_policy="open", monthly_quota=1_000_000)
    strict = await place.customer((LIMIT, WINDOW_MS), failure_policy="closed", monthly_quota=1_000_000)
    opened, closed = await place.make_key(generous), await place.make_key(strict)
    at_open, at_closed, away_open, away_closed = Asked(), Asked(), Asked(), Asked()
    async with prompt.a_client_each() as clients:
        await _until_whole(clients, [(at_open, opened), (at_closed, closed)])
        async with redis_away(place, how):
            until = monotonic() + AWAY_SECONDS
            while monotonic() < until:
                for client in clients:
                    await away_open.ask(client, opened)
                    await away_closed.ask(client, closed)
                await asyncio.sleep(0.01)
        await _until_whole(clients, [(at_open, opened), (at_closed, closed)])
        back = await _once_whole(clients, opened, at_open)
        report.tell(f"Redis {how}", f"open: {away_open.told()}; closed: {away_closed.told()}")
        assert {(a.status, a.document["code"], a.document["degraded"]) for a in away_open.answers} == {
            (200, "VALID", True)
        }
        assert {(a.status, a.headers["content-type"]) for a in away_closed.answers} == {
            (503, "application/problem+json")
        }
        assert "Nothing was counted" in away_closed.answers[0].document["detail"]
        assert median(away_open.took_ms) < MAX_USUAL_MS
        assert median(away_closed.took_ms) < MAX_USUAL_MS
        valid, denied = back.instants("VALID"), back.instants("RATE_LIMITED")
        assert most_in_window(valid, WINDOW_MS * 1000) == LIMIT
        assert wrong_denials(valid, denied, LIMIT, WINDOW_MS * 1000) == []
        await _agree(place, clients[0], generous, opened, [*at_open.ids(), *away_open.ids(), *back.ids()])
        await place.await_stored(at_closed.ids())
        assert (await place.ledgers(strict.actor.account_id)).calls == len(at_closed.ids())


async def test_what_a_closed_policy_refused_is_not_counted_later(place: Place, prompt: Served, report: Report) -> None:
    """ "Nothing was counted" stays true when the frozen Redis goes on."""
    customer = await place.customer(failure_policy="closed", monthly_quota=1_000_000)
    secret = await place.make_key(customer)
    asked = Asked()
    async with prompt.a_client_each() as clients:
        await _until_whole(clients, [(asked, secret)])
        async with redis_away(place, "frozen"):
            for client in clients * 5:
                assert (await client.check({"key": secret})).status == 503
        await _until_whole(clients, [(asked, secret)])
        counted, used = len(asked.ids()), None
        while used is None:
            used = await _used(clients[0], secret)
    report.tell("closed, frozen", f"{counted} answered, {used} counted by Redis")
    assert used == counted


async def test_a_flushed_redis_costs_at_most_what_was_not_ingested(
    place: Place, portal: Served, report: Report
) -> None:
    customer = await place.customer(monthly_quota=QUOTA)
    secret = await place.make_key(customer)
    asked = Asked()
    async with portal.a_client_each() as clients, Redis.from_url(place.services.redis_urls[0]) as redis:
        for client in clients * 35:
            await asked.ask(client, secret)
        await place.await_stored(asked.ids())
        assert portal.worker is not None
        with frozen([portal.worker.pid]):
            for _ in range(NOT_INGESTED):
                await asked.ask(clients[0], secret)
            await redis.flushall()
            while (await asked.ask(clients[1], secret)).document["valid"]:
                pass
        codes = Counter(answer.document["code"] for answer in asked.answers)
        report.tell("FLUSHALL", f"quota {QUOTA}, {NOT_INGESTED} not ingested: {dict(codes)}")
        assert codes["VALID"] <= QUOTA + NOT_INGESTED
        assert codes["QUOTA_EXCEEDED"] == 1
        await place.await_stored(asked.ids())
        assert (await place.ledgers(customer.actor.account_id)).billable == codes["VALID"]
        await redis.flushall()
        refused = await asked.ask(clients[0], secret)
        assert (refused.document["code"], refused.document["quota"]["used"]) == ("QUOTA_EXCEEDED", codes["VALID"])


@pytest.mark.parametrize(("how", "seconds"), [("stopped", sized(2, 30)), ("frozen", sized(7, 60))])
async def test_without_postgresql_warm_keys_verify_and_the_rest_says_what_is_wrong(
    place: Place, portal: Served, report: Report, how: str, seconds: float
) -> None:
    """Frozen, it lasts longer than a service token is remembered, and warm keys are all that is asked about."""
    customer = await place.customer((1_000_000, 60_000))
    warm, cold = await place.make_key(customer), await place.make_key(customer)
    asked = Asked()
    async with portal.a_client_each() as clients, httpx2.AsyncClient(base_url=portal.url, timeout=30) as http:
        await _sign_in(http, customer)
        for client in clients:
            assert (await asked.ask(client, warm)).document["valid"]
        async with postgres_away(place, how), asyncio.TaskGroup() as group:
            needing = group.create_task(_ask_what_needs_it(http, portal, customer, cold)) if how == "stopped" else None
            until = monotonic() + seconds
            while monotonic() < until:
                for client in clients:
                    answer = await asked.ask(client, warm)
                    assert (answer.status, answer.document["valid"]) == (200, True), answer
                await asyncio.sleep(0.02)
        report.tell(f"PostgreSQL {how}", f"warm keys: {asked.told()}")
        if needing is not None:
            _say_what_is_wrong(*needing.result())
        await _until_well(http, customer)
        for client in clients:
            assert (await client.check({"key": cold, "cost": 0})).document["valid"]
        assert median(asked.took_ms) < MAX_USUAL_MS
        await _agree(place, clients[0], customer, warm, asked.ids())


def _say_what_is_wrong(refused: CheckAnswer, page: httpx2.Response, graphql: httpx2.Response) -> None:
    assert (refused.status, refused.headers["content-type"]) == (503, "application/problem+json")
    assert "database is away" in refused.document["detail"]
    assert (page.status_code, graphql.status_code) == (503, 503), (page.text, graphql.text)
    assert "The database is unavailable" in page.text
    assert "database" in graphql.text


async def _ask_what_needs_it(
    http: httpx2.AsyncClient, portal: Served, customer: Customer, cold: str
) -> tuple[CheckAnswer, httpx2.Response, httpx2.Response]:
    """A check of a key that no process knows, a page, GraphQL."""
    bearer = {"Authorization": f"Bearer {customer.token}"}
    async with CheckClient(portal.url, portal.token, timeout_seconds=30) as client:
        refused, page, graphql = await asyncio.gather(
            client.check({"key": cold}),
            http.get("/keys", headers={"Accept": "text/html"}),
            http.post("/graphql", json=VIEWER, headers=bearer),
        )
    return refused, page, graphql


async def _until_whole(clients: Sequence[CheckClient], keys: list[tuple[Asked, str]]) -> None:
    """Until every process decides with Redis again; all answers are kept."""
    until = monotonic() + BACK_SECONDS
    for client in clients:
        for asked, secret in keys:
            while (answer := await asked.ask(client, secret)).status != 200 or answer.document["degraded"]:
                assert monotonic() < until
                await asyncio.sleep(0.02)


async def _once_whole(clients: Sequence[CheckClient], secret: str, before: Asked) -> Asked:
    """Twice the limit at once after a quiet window, as a stretch in which Redis decided everything."""
    until = monotonic() + BACK_SECONDS
    while True:
        await asyncio.sleep(WINDOW_MS / 1000)
        asked = Asked()
        for client in list(clients) * LIMIT:
            await asked.ask(client, secret)
        if not any(answer.document["degraded"] for answer in asked.answers):
            return asked
        assert monotonic() < until
        before.answers += asked.answers


async def _agree(place: Place, client: CheckClient, customer: Customer, secret: str, answered: list[str]) -> None:
    """Every answer is counted once, nothing else is, and Redis counts to the same number."""
    await place.await_stored(answered)
    assert len(set(answered)) == len(answered)
    ledgers = await place.ledgers(customer.actor.account_id)
    assert ledgers.calls == len(answered)
    until = monotonic() + BACK_SECONDS
    while (used := await _used(client, secret)) != ledgers.billable:
        assert monotonic() < until, f"Redis counts {used}, PostgreSQL {ledgers.billable}"
        await asyncio.sleep(0.1)


async def _used(client: CheckClient, secret: str) -> int | None:
    """As Redis knows it; None when it did not answer."""
    quota = (await client.check({"key": secret, "cost": 0})).document.get("quota")
    return quota["used"] if quota else None


async def _sign_in(http: httpx2.AsyncClient, customer: Customer) -> None:
    form = {"email": customer.email, "password": PASSWORD}
    assert (await http.post("/sign-in", data=form, headers=SAME_ORIGIN)).status_code == 303


async def _until_well(http: httpx2.AsyncClient, customer: Customer) -> None:
    """Both ways in, with the same session and token as before."""
    until = monotonic() + BACK_SECONDS
    headers = {"Authorization": f"Bearer {customer.token}"}
    while True:
        page = await http.get("/keys", headers={"Accept": "text/html"})
        graphql = await http.post("/graphql", json=VIEWER, headers=headers)
        if (page.status_code, graphql.status_code) == (200, 200):
            return
        assert monotonic() < until, (page.status_code, graphql.status_code, page.text[-1500:], graphql.text)
        await asyncio.sleep(0.1)
