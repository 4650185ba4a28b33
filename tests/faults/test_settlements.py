"""A check is settled while Redis is away: PostgreSQL has it at once, Redis once, when it is back."""

import asyncio
from time import monotonic

import httpx2
import pytest
from sqlalchemy import text

from portal.core.ids import new_id
from portal.limits import Limiter, LimitRequest, Mode, Quota, QuotaCorrection, Seed
from tests.faults.tools.check_client import CheckClient
from tests.faults.tools.outages import redis_away
from tests.faults.tools.place import Place
from tests.faults.tools.processes import Served
from tests.faults.tools.report import Report

BACK_SECONDS = 20.0
PERIODS = (("2026-11", 0, 2**52), ("2026-12", 2**52, 2**52 + 1))


@pytest.mark.parametrize("how", ["frozen", "killed"])
@pytest.mark.parametrize("cost", [2, 9])
async def test_redis_counts_what_was_settled_once(
    place: Place, portal: Served, report: Report, how: str, cost: int
) -> None:
    """Frozen, it still gets the first attempt when it goes on, and then the outbox's: it must not count both."""
    customer = await place.customer(monthly_quota=1_000)
    secret = await place.make_key(customer)
    async with CheckClient(portal.url, portal.token) as client:
        asked = [(await client.check({"key": secret, "cost": 5})).document["requestId"] for _ in range(3)]
        await place.await_stored(asked)
        async with redis_away(place, how):
            await _settle(portal, asked[0], cost)
        until = monotonic() + BACK_SECONDS
        while (used := await _used(client, secret)) != 10 + cost or await _waiting(place):
            assert monotonic() < until, f"Redis counts {used}"
            await asyncio.sleep(0.1)
        await _settle(portal, asked[0], cost)
        assert await _used(client, secret) == 10 + cost
    assert (await place.ledgers(customer.actor.account_id)).billable == 10 + cost
    report.tell(f"settled while Redis is {how}", f"5 became {cost}: Redis and PostgreSQL count {10 + cost}")


async def _settle(portal: Served, request_id: str, cost: int) -> None:
    async with httpx2.AsyncClient(base_url=portal.url, headers={"Authorization": f"Bearer {portal.token}"}) as http:
        answer = await http.post("/check/settle", json={"requestId": request_id, "cost": cost}, timeout=30)
    assert answer.status_code == 200, answer.text


async def _used(client: CheckClient, secret: str) -> int | None:
    quota = (await client.check({"key": secret, "cost": 0})).document.get("quota")
    return quota["used"] if quota else None


async def _waiting(place: Place) -> int:
    async with place.parts.database.transaction() as tx:
        return await tx.get(text("SELECT count(*) FROM outbox"), returns=int)


@pytest.mark.parametrize("is_told_before", [True, False])
@pytest.mark.parametrize("added", [4, -4])
async def test_a_total_of_ingest_in_between_counts_nothing_twice(
    place: Place, added: int, *, is_told_before: bool
) -> None:
    """10 units are ingested. A total that has the settlement may be told before it, one that has it not after it."""
    limiter, account = Limiter(place.services.redis_urls, 1000), new_id("acct")
    settlement = QuotaCorrection(account, new_id("req"), "2026-11", added, added)
    await limiter.open()
    try:
        await limiter.decide_one(_request(account, 10))
        await limiter.raise_used(account, "2026-11", 10, 0)
        if is_told_before:
            await limiter.raise_used(account, "2026-11", 10 + added, added)
        await limiter.add_used(settlement)
        if not is_told_before:
            await limiter.raise_used(account, "2026-11", 10, 0)
        await limiter.add_used(settlement)
        await limiter.raise_used(account, "2026-11", 10 + added, added)
        assert (await limiter.decide_one(_request(account, 0))).used == 10 + added
    finally:
        await limiter.close()


async def test_a_counter_that_was_lost_has_the_settlements_of_postgresql(place: Place) -> None:
    limiter, account = Limiter(place.services.redis_urls, 1000), new_id("acct")
    await limiter.open()
    try:
        await limiter.decide_one(_request(account, 0, seeded=6))  # 10, of which a settlement took 4 back
        await limiter.raise_used(account, "2026-11", 6, -4)
        await limiter.add_used(QuotaCorrection(account, new_id("req"), "2026-11", -2, -6))
        await limiter.raise_used(account, "2026-11", 4, -6)
        assert (await limiter.decide_one(_request(account, 0))).used == 4
        await limiter.raise_used(account, "2026-11", 14, -6)
        assert (await limiter.decide_one(_request(account, 0))).used == 14
    finally:
        await limiter.close()


def _request(account: str, cost: int, seeded: int = 0) -> LimitRequest:
    return LimitRequest(account, 1, Mode.CONSUME, cost, (), Quota(1_000, PERIODS), Seed(1, {"2026-11": seeded}))
