"""An answered check is countable, whatever texts it holds: each is refused with 4xx, or counted exactly once."""

import asyncio
from collections import Counter
from random import Random
from typing import Any

import httpx2

from portal import keys
from portal.core.clock import utc_now
from portal.usage import count_quarantined
from tests.faults.tools.odd_texts import odd_address, odd_text, written
from tests.faults.tools.place import Customer, Place
from tests.faults.tools.processes import Served
from tests.faults.tools.report import Report, sized

REQUESTS = sized(2_000, 100_000)
EVENTS = sized(300, 10_000)
CLIENTS = 8
SEED = 12
BATCH_SIZE = 5
TIMEOUT_SECONDS = 30.0


class Ledger:
    """What was answered: units by the id that the caller got, and how often each status came."""

    def __init__(self) -> None:
        self.units: dict[str, int] = {}
        self.statuses: Counter[str] = Counter()
        self.checks = 0

    def note(self, request: dict[str, Any], response: dict[str, Any]) -> None:
        """Note an answer of a check: an account's, with a cost, leaves a row."""
        if response.get("accountId") and request.get("cost", 1):
            assert response["requestId"] not in self.units
            self.units[response["requestId"]] = request.get("cost", 1)


async def test_each_check_with_any_texts_is_refused_or_counted(place: Place, portal: Served, report: Report) -> None:
    customer = await place.customer((10**9, 1000))
    secrets = [made.secret for made in await place.make_keys(customer, 2)]
    async with place.parts.database.transaction(customer.actor.account_id) as tx:
        new = keys.NewKey("fenced", scopes=("a:*",), allowed_ips=("203.0.113.0/24", "::1"))
        secrets.append((await keys.create_key(tx, customer.actor, new)).secret)
    before = await quarantined(place)
    ledger, left = Ledger(), iter(range(REQUESTS))
    headers = {"Authorization": f"Bearer {place.service_token}", "Content-Type": "application/json"}
    async with httpx2.AsyncClient(base_url=portal.url, headers=headers, timeout=TIMEOUT_SECONDS) as client:
        await asyncio.gather(*[ask_checks(client, secrets, ledger, left) for _ in range(CLIENTS)])
    await place.await_stored(ledger.units)
    assert await place.stored(ledger.units) == ledger.units
    report.tell(
        "texts of checks",
        f"{ledger.checks:,} checks in {REQUESTS:,} requests: {len(ledger.units):,} counted; {dict(ledger.statuses)}",
    )
    ledgers = await place.ledgers(customer.actor.account_id)
    assert (ledgers.calls, ledgers.units) == (len(ledger.units), sum(ledger.units.values()))
    assert await quarantined(place) == before
    assert {status[0] for status in ledger.statuses} == {"2", "4"}
    assert len(ledger.units) > REQUESTS / 10
    assert "usage_quarantined" not in portal.log("worker")


async def test_each_event_with_any_texts_is_refused_or_counted(place: Place, portal: Served, report: Report) -> None:
    customer = await place.customer((1000, 1000))
    before = await quarantined(place)
    random, statuses, counted = Random(SEED), Counter[str](), set[str]()  # noqa: S311  # repeatable, not secret
    headers = {"Authorization": f"Bearer {place.service_token}", "Content-Type": "application/cloudevents-batch+json"}
    async with httpx2.AsyncClient(base_url=portal.url, headers=headers, timeout=TIMEOUT_SECONDS) as client:
        for _ in range(EVENTS // BATCH_SIZE):
            batch = [odd_event(random, customer) for _ in range(BATCH_SIZE)]
            answer = await client.post("/usage/events", content=written(random, batch))
            assert answer.status_code < 500, (batch, answer.text)
            if answer.status_code == 400:  # a lone surrogate in one makes the whole body no JSON
                statuses["400"] += 1
                continue
            for result in answer.json()["results"]:
                statuses[result["status"]] += 1
                if result["status"] == "counted":
                    counted.add(result["requestId"])
    ledgers = await place.ledgers(customer.actor.account_id)
    report.tell("texts of events", f"{EVENTS:,} events: {len(counted):,} counted; {dict(statuses)}")
    assert ledgers.calls == len(counted) > 0
    assert await quarantined(place) == before


async def ask_checks(client: httpx2.AsyncClient, secrets: list[str], ledger: Ledger, left: Any) -> None:
    """Ask until none is left; each request is made of its number alone, so that a failure can be had again."""
    for number in left:
        random = Random(SEED * 1_000_003 + number)  # noqa: S311  # repeatable, not secret
        if number % 10:
            request = odd_check(random, secrets)
            answer = await client.post("/check" if number % 3 else "/check/http", content=written(random, request))
            ledger.checks += 1
            told = answer.json()
            if "requestId" in told:
                ledger.note(request, told)
        else:
            batch = [odd_check(random, secrets) for _ in range(BATCH_SIZE)]
            mode = random.choice(("independent", "atomic"))
            answer = await client.post("/check/batch", content=written(random, {"checks": batch, "mode": mode}))
            ledger.checks += BATCH_SIZE
            if answer.status_code == 200:
                for request, told in zip(batch, answer.json()["results"], strict=True):
                    if "requestId" in told:
                        ledger.note(request, told)
        ledger.statuses[str(answer.status_code)] += 1
        assert answer.status_code < 500, (number, answer.text)


def odd_check(random: Random, secrets: list[str]) -> dict[str, Any]:
    """A check with one odd text at least, the others odd, plain or missing."""
    request: dict[str, Any] = {"key": random.choice(secrets) if random.random() < 0.97 else odd_text(random, 512)}
    names = random.sample(("resource", "scopes", "ip", "id"), k=random.choice((1, 1, 2, 3)))
    if "resource" in names:
        request["resource"] = odd_text(random, 200)
    if "scopes" in names:
        request["scopes"] = [odd_text(random, 100) for _ in range(random.choice((1, 2)))]
    if "ip" in names:
        request["ip"] = odd_address(random)
    if "id" in names:
        request["id"] = odd_text(random, 150) + f"{random.getrandbits(64):x}"
    if random.random() < 0.3:
        request["cost"] = random.choice((0, 1, 7))
    return request


def odd_event(random: Random, customer: Customer) -> dict[str, Any]:
    """An event with odd texts in any place."""

    def text_or(plain: str, longest: int) -> str:
        return odd_text(random, longest) if random.random() < 0.25 else plain

    return {
        "specversion": text_or("1.0", 10) if random.random() < 0.1 else "1.0",
        "id": text_or("", 1024) + f"{random.getrandbits(64):x}",
        "source": text_or("/faults", 1024),
        "type": text_or("com.example.metered", 1024),
        "subject": text_or(customer.actor.account_id, 64),
        "time": utc_now().isoformat(),
        "data": {"resource": text_or("GET /x", 200), "cost": 1},
    }


async def quarantined(place: Place) -> int:
    async with place.parts.database.transaction() as tx:
        return await count_quarantined(tx)
