"""What a denial says, over many combinations of limits: every surface tells of the same limits, and what passes when.

The expectation comes from what was admitted before, not from anything that the product says.
"""

import itertools
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any

import http_sf
import pytest
from httpx2 import Response

from portal import keys, plans
from portal.core.actor import SYSTEM, Actor
from portal.core.clock import utc_now
from portal.core.database import Database
from portal.core.ids import AccountId, new_id
from portal.graphql import Options, execute
from portal.plans import first_period
from portal.usage import ingest_usage
from portal.usage.journal.segments import list_segments, read_chunk
from portal.usage.records import join_batch
from tests.web.check.conftest import Served

RESOURCE = "GET /v1/orders"
REQUEST = """
query Request($id: ID!) {
  request(id: $id) {
    at outcome reason { what remedy }
    denial { limits { name limit used remaining windowMs passesAt } missingScopes keyScopes address passesAt }
  }
}
"""
TOLERANCE_SECONDS = 20.0
MakeAccount = Callable[..., Awaitable[Actor]]


@dataclass
class Expected:
    """One limit as the plan has it, and what of it was admitted (instant, units)."""

    name: str
    amount: int
    window_s: float
    is_bucket: bool = False
    refill: int = 0
    admitted: list[tuple[float, int]] = field(default_factory=list)

    @property
    def used(self) -> int:
        return sum(units for _, units in self.admitted)

    def wait(self, cost: int) -> float | None:
        """None: it admits; inf: never; else seconds."""
        over = self.used + cost - self.amount
        if over <= 0:
            return None
        if cost > self.amount:
            return math.inf
        if self.name == "month":
            return (first_period(utc_now(), "UTC").end - utc_now()).total_seconds()
        if self.is_bucket:
            since = monotonic() - self.admitted[0][0]
            return over * self.window_s / self.refill - since
        for at, units in self.admitted:
            over -= units
            if over <= 0:
                return at + self.window_s - monotonic()
        raise AssertionError("what is over the limit is in its window")


@dataclass
class Customer:
    actor: Actor
    secret: str
    limits: list[Expected]

    def denying(self, cost: int) -> dict[str, float]:
        waits = {limit.name: limit.wait(cost) for limit in self.limits}
        return {name: wait for name, wait in waits.items() if wait is not None}

    def admit(self, cost: int) -> None:
        for limit in self.limits:
            limit.admitted.append((monotonic(), cost))


def limits_of_seed(rng: random.Random) -> tuple[list[dict[str, Any]], list[Expected]]:
    """One to four limits of a plan: windows, buckets, for a key or the account, for all resources or this one."""
    rows, expected = [], []
    for number in range(rng.randint(1, 4)):
        name, amount = f"l{number}", rng.randint(1, 30)
        window_s = rng.choice([120, 600, 3600, 86_400, 2_000_000])
        row: dict[str, Any] = {"name": name, "amount": amount, "window_ms": window_s * 1000}
        row |= {"per": rng.choice(["key", "key", "account"]), "algorithm": "sliding_window"}
        row["resource"] = rng.choice([None, None, RESOURCE, "GET /v1/*"])
        one = Expected(name, amount, window_s)
        if rng.random() < 0.35:
            refill, burst = rng.randint(1, 3), rng.randint(1, 30)
            row |= {"algorithm": "token_bucket", "amount": refill, "burst": burst, "window_ms": 86_400_000}
            one = Expected(name, burst, 86_400, is_bucket=True, refill=refill)
        rows.append(row)
        expected.append(one)
    return rows, expected


async def make_customer(served: Served, make_account: MakeAccount, rng: random.Random) -> Customer:
    actor = await make_account()
    rows, expected = limits_of_seed(rng)
    quota = rng.choice([None, 10**6, rng.randint(1, 40), rng.randint(1, 40)])
    is_overage = rng.random() < 0.2
    async with served.services.database.transaction() as tx:
        slug = new_id("plan").lower()
        plan = plans.Plan(
            id=new_id("plan"),
            slug=slug,
            name="P",
            price=Decimal(0),
            limits=rows,
            monthly_quota=quota,
            is_overage_allowed=is_overage,
            created_at=tx.now,
        )
        row = await tx.insert(plan)
        await plans.subscribe(tx, Actor("system", SYSTEM.id, AccountId(actor.account_id)), row.id)
    own = rng.random() < 0.3
    limits = [keys.KeyLimit("hourly", 12, 3_600_000)] if own else []
    async with served.services.database.transaction(actor.account_id) as tx:
        made = await keys.create_key(tx, actor, keys.NewKey(name="one", limits=limits))
    if own:
        expected.append(Expected("own-hourly", 12, 3600))
    replaced = next((row for row in rows if row["per"] == "key" and row["algorithm"] == "sliding_window"), None)
    if replaced is not None and rng.random() < 0.3:
        staff = replace(actor, id="person_staff", role=None, is_staff=True)
        new = keys.NewOverride(name=str(replaced["name"]), amount=7, window_ms=900_000, reason="a test")
        async with served.services.database.transaction(actor.account_id) as tx:
            await keys.override_key_limit(tx, staff, made.key.id, new)
        expected = [Expected(new.name, 7, 900) if one.name == new.name else one for one in expected]
    if quota is not None and not is_overage:
        expected.append(Expected("month", quota, math.inf))
    return Customer(actor, made.secret, expected)


def described(response: Response) -> tuple[str, int, int]:
    """The name, units left and seconds to the reset, the same in both forms."""
    items: Any = http_sf.parse(response.headers["ratelimit"].encode(), tltype="list")
    ((name, parameters),) = items
    assert int(response.headers["x-ratelimit-remaining"]) == parameters["r"]
    assert int(response.headers["x-ratelimit-reset"]) == parameters["t"]
    return str(name), parameters["r"], parameters["t"]


def check_headers(response: Response, customer: Customer, first: str, wait_ms: int | None) -> None:
    """The violated limit with the longest wait; Retry-After is that wait, and absent for what never passes."""
    name, remaining, reset_s = described(response)
    limit = next(one for one in customer.limits if one.name == name)
    assert name == first
    assert int(response.headers["x-ratelimit-limit"]) == limit.amount
    assert remaining == max(0, limit.amount - limit.used)
    if wait_ms is None:
        assert "retry-after" not in response.headers
    else:
        assert int(response.headers["retry-after"]) == math.ceil(wait_ms / 1000) >= reset_s


def check_order(names: list[str], waits: dict[str, float], wait_ms: int | None) -> None:
    """All that deny are named, the longest wait first; two that are nearly as long may change places."""
    assert set(names) == set(waits)
    in_order = [waits[name] for name in names]
    for one, next_one in itertools.pairwise(in_order):
        assert one >= next_one - TOLERANCE_SECONDS
    if math.isinf(max(in_order)):
        assert wait_ms is None
        assert math.isinf(in_order[0])
    else:
        assert wait_ms is not None
        assert abs(wait_ms / 1000 - max(in_order)) < TOLERANCE_SECONDS


async def ingested(folder: Path, database: Database) -> None:
    """Count what the journal holds, as shipper and worker would."""
    payloads = [
        payload for path in list_segments(folder / "journal") for payload in read_chunk(path, 0, 10_000).payloads
    ]
    await ingest_usage(database, join_batch(payloads))


def first_words(text: str) -> str:
    """What does not change from one millisecond to the next."""
    return text.partition(" The same check passes")[0]


async def same_everywhere(served: Served, customer: Customer, cost: int, folder: Path) -> str:
    """Ask for the same denied check on every surface; return its code."""
    waits = customer.denying(cost)
    body = {"key": customer.secret, "cost": cost, "resource": RESOURCE, "ip": "203.0.113.9"}
    plain = await served.http.post("/check", json=body)
    native = await served.http.post("/check/http", json=body)
    batch = await served.http.post("/check/batch", json={"checks": [body, {**body, "cost": 0}]})
    atomic = await served.http.post("/check/batch", json={"checks": [body], "mode": "atomic"})
    explained = await served.http.post("/check", json={**body, "explain": True})
    answer = plain.json()
    names = answer["violated-policies"]
    check_order(names, waits, answer["retryAfterMs"])
    assert answer["code"] == ("QUOTA_EXCEEDED" if set(waits) == {"month"} else "RATE_LIMITED")
    for response, told in (
        (plain, answer),
        (native, native.json()),
        (batch, batch.json()["results"][0]),
        (atomic, atomic.json()["results"][0]),
    ):
        assert (told["code"], told["violated-policies"]) == (answer["code"], names)
        check_headers(response, customer, names[0], told["retryAfterMs"])
        assert (told["retryAfterMs"] is None) == (answer["retryAfterMs"] is None)
    assert native.status_code == 429
    explanation = explained.json()["explanation"]
    assert explanation["code"] == answer["code"]
    assert explained.json()["violated-policies"] == names
    assert described(explained)[0] == names[0]
    assert "retry-after" not in explained.headers
    denied = {rule["name"]: rule for rule in explanation["rules"] if "name" in rule and not rule["passes"]}
    assert set(denied) == set(names)
    assert all((rule["retryAfterMs"] is None) == math.isinf(waits[name]) for name, rule in denied.items())
    assert (explanation["passesAt"] is None) == (answer["retryAfterMs"] is None)
    # Then as the developer sees it.
    await ingested(folder, served.services.database)
    options = Options(timeout_seconds=30)
    result = await execute(
        served.services.database, customer.actor, None, REQUEST, {"id": answer["requestId"]}, options
    )
    assert result.data is not None, result.errors
    request = result.data["request"]
    denial = request["denial"]
    assert (request["outcome"], denial["address"]) == (answer["code"], "203.0.113.9")
    assert [limit["name"] for limit in denial["limits"]] == names
    at = datetime.fromisoformat(request["at"])
    passes_at = denial["passesAt"] and datetime.fromisoformat(denial["passesAt"])
    wait_ms = answer["retryAfterMs"]
    assert passes_at == (None if wait_ms is None else at + timedelta(milliseconds=wait_ms))
    for limit in denial["limits"]:
        expected = next(one for one in customer.limits if one.name == limit["name"])
        assert (limit["limit"], limit["used"]) == (expected.amount, expected.used)
        assert limit["remaining"] == max(0, expected.amount - expected.used)
    reason = request["reason"]
    assert first_words(reason["what"]) == first_words(explanation["reason"])
    assert native.json()["detail"].startswith(first_words(reason["what"]))
    assert reason["remedy"] == explanation["remedy"]
    assert ("This cost is above the limit" in reason["what"]) == (wait_ms is None)
    return str(answer["code"])


@pytest.mark.parametrize("seed", range(30))
async def test_every_surface_tells_of_the_same_limits(
    served: Served, make_account: MakeAccount, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)  # noqa: S311  # no secret
    customer = await make_customer(served, make_account, rng)
    denials: list[str] = []
    for _ in range(12):
        cost = rng.choice([1, 1, 2, 3, 5, 8, 13, 31, 1_000_000])
        waits = customer.denying(cost)
        if not waits:
            body = {"key": customer.secret, "cost": cost, "resource": RESOURCE}
            assert (await served.http.post("/check", json=body)).json()["valid"]
            customer.admit(cost)
        elif len(denials) < 4:
            denials.append(await same_everywhere(served, customer, cost, tmp_path))
    assert denials
