"""External usage through kills: a producer that repeats until it is answered loses nothing and doubles nothing."""

import asyncio
from collections import Counter
from typing import Any

import httpx2

from portal.core.clock import utc_now
from tests.faults.tools.outages import postgres_away
from tests.faults.tools.place import Customer, Place
from tests.faults.tools.processes import Served
from tests.faults.tools.report import Report, sized

BATCHES, EVENTS, PRODUCERS = sized(60, 600), 50, 4
ROUNDS = sized(2, 20)
TIMEOUT_SECONDS = 5.0
TRIES = 400


async def test_external_usage_counts_once_whoever_is_killed(place: Place, portal: Served, report: Report) -> None:
    customer = await place.customer((1000, 1000))
    batches = [batch_of(customer, number) for number in range(BATCHES)]
    waiting = [*batches, *batches[::3]]
    statuses: Counter[int] = Counter()
    killing = asyncio.create_task(kill(place, portal))
    async with httpx2.AsyncClient(base_url=portal.url, timeout=TIMEOUT_SECONDS) as client:
        producers = [produce(client, place.service_token, waiting, statuses) for _ in range(PRODUCERS)]
        answered = sum(await asyncio.gather(*producers), Counter())
    await killing
    ledgers = await place.ledgers(customer.actor.account_id)
    report.tell(
        "external usage",
        f"{BATCHES * EVENTS:,} events through {ROUNDS} kills of servers and stops of PostgreSQL: {ledgers.calls:,}"
        f" counted; answers {dict(answered)}, statuses {dict(statuses)}",
    )
    assert (ledgers.calls, ledgers.units) == (BATCHES * EVENTS, BATCHES * EVENTS * 2)
    assert answered["duplicate"] >= len(waiting) * EVENTS - BATCHES * EVENTS
    assert set(statuses) <= {0, 200, 503}, portal.log("serve")[-6000:]


def batch_of(customer: Customer, number: int) -> list[dict[str, Any]]:
    return [
        {
            "specversion": "1.0",
            "id": f"{number}-{one}",
            "source": "/faults",
            "type": "com.example.metered",
            "subject": customer.actor.account_id,
            "time": utc_now().isoformat(),
            "data": {"cost": 2},
        }
        for one in range(EVENTS)
    ]


async def produce(
    client: httpx2.AsyncClient, token: str, waiting: list[list[dict[str, Any]]], statuses: Counter[int]
) -> Counter[str]:
    answered: Counter[str] = Counter()
    # Slow enough that the kills come amid the work.
    while waiting:
        batch = waiting.pop(0)
        for _ in range(TRIES):
            status, results = await send(client, token, batch)
            statuses[status] += 1
            if status == 200:
                answered.update(one["status"] for one in results)
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("a batch was never answered")
        await asyncio.sleep(0.05)
    return answered


async def send(client: httpx2.AsyncClient, token: str, batch: list[dict[str, Any]]) -> tuple[int, list[dict[str, Any]]]:
    """Status 0 where the connection broke: nobody knows whether it was counted."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/cloudevents-batch+json"}
    try:
        answer = await client.post("/usage/events", json=batch, headers=headers)
    except httpx2.HTTPError:
        return 0, []
    return answer.status_code, answer.json()["results"] if answer.status_code == 200 else []


async def kill(place: Place, portal: Served) -> None:
    for number in range(ROUNDS):
        await asyncio.sleep(0.3)
        if number % 2:
            async with postgres_away(place, "killed"):
                await asyncio.sleep(0.2)
        else:
            portal.kill_children(portal.children())
            async with portal.a_client_each():
                pass
