"""Limits and quota as they stand this moment, and what is told while nobody can know."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import pytest

from portal import keys, plans
from portal.check import load_live_limits, load_live_used
from portal.check.policy import compile_rules
from portal.core.actor import Actor
from portal.core.clock import to_microseconds
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.errors import Unavailable
from portal.graphql import GraphQLRateLimiter, Options, Result, SubscriptionContext, open_stream
from portal.graphql.live import Publisher, SubscriptionHub
from portal.limits import Limiter, LimitRequest, Mode, Quota, Seed
from tests.graphql.conftest import Ask, MakeKey, codes

LIMITS = "{ keys { nodes { name liveLimits { name amount remaining resetMs windowMs resource } } } }"
QUOTA = "{ quota { used ingested isLive remaining forecast { used runsOutAt } } }"


@pytest.fixture
async def limiter(services: EmbeddedServices) -> AsyncIterator[Limiter]:
    limiter = Limiter(services.redis_urls, 1000)
    await limiter.open()
    yield limiter
    await limiter.close()


async def use(database: Database, limiter: Limiter, actor: Actor, key_id: str, units: int) -> None:
    """As a check would."""
    async with database.transaction(actor=actor) as tx:
        key = await keys.get_key(tx, actor.account_id, key_id)
        entitlement = await plans.entitlement_of(tx, actor.account_id)
    rules = compile_rules(key, [*entitlement.limits, *keys.own_limits(key)])
    subjects = tuple(rule.subject for rule in rules)
    await limiter.decide_one(LimitRequest(actor.account_id, 0, Mode.CONSUME, units, subjects, None))


async def test_looking_shows_what_is_left_and_takes_nothing(
    ask: Ask, database: Database, limiter: Limiter, owner: Actor, make_key: MakeKey
) -> None:
    made = await make_key(owner, limits=[{"name": "daily", "amount": 50, "windowMs": 86_400_000}])
    await make_key(owner, name="Idle")
    await use(database, limiter, owner, made["key"]["id"], 3)
    for _ in range(2):
        result = await ask(owner, LIMITS, options=Options(limiter=limiter, timeout_seconds=30))
        nodes = {node["name"]: node["liveLimits"] for node in (result.data or {})["keys"]["nodes"]}
        found = {limit["name"]: limit for limit in nodes["Search"]}
        assert (found["sustained"]["amount"], found["sustained"]["remaining"]) == (100, 97)
        assert (found["own-daily"]["remaining"], found["own-daily"]["windowMs"]) == (47, 86_400_000)
        assert 0 < found["own-daily"]["resetMs"] <= 86_400_000
        assert {limit["name"]: limit["remaining"] for limit in nodes["Idle"]} == {"burst": 10, "sustained": 100}


async def test_without_redis_limits_are_unknown_and_the_quota_is_what_was_ingested(
    ask: Ask, owner: Actor, make_key: MakeKey
) -> None:
    await make_key(owner)
    away = Limiter(["redis://127.0.0.1:9/0"], 50)
    for options in (Options(limiter=away, timeout_seconds=30), None):
        result = await ask(owner, LIMITS, options=options)
        assert not result.errors
        assert (result.data or {})["keys"]["nodes"][0]["liveLimits"] is None
        quota = (await ask(owner, QUOTA, options=options)).data or {}
        assert quota["quota"] == {
            "used": 0,
            "ingested": 0,
            "isLive": False,
            "remaining": 10_000,
            "forecast": {"used": 0, "runsOutAt": None},
        }
    await away.close()


async def test_the_quota_is_what_checks_count(ask: Ask, database: Database, limiter: Limiter, owner: Actor) -> None:
    async with database.transaction() as tx:
        period = plans.first_period(tx.now, "UTC")
    assert await load_live_used(limiter, owner.account_id, period) is None
    counted = Quota(-1, ((period.name, to_microseconds(period.start), to_microseconds(period.end)),))
    seed = Seed(1, {period.name: 118})
    await limiter.decide_one(LimitRequest(owner.account_id, 1, Mode.CONSUME, 5, (), counted, seed))
    assert await load_live_used(limiter, owner.account_id, period) == 123
    quota = ((await ask(owner, QUOTA, options=Options(limiter=limiter, timeout_seconds=30))).data or {})["quota"]
    assert (quota["used"], quota["ingested"], quota["isLive"], quota["remaining"]) == (123, 0, True, 9877)


async def test_many_looks_at_once_are_told_apart(
    database: Database, limiter: Limiter, owner: Actor, make_key: MakeKey
) -> None:
    made = [(await make_key(owner, name=f"K{number}"))["key"]["id"] for number in range(8)]
    for units, key_id in enumerate(made):
        if units:
            await use(database, limiter, owner, key_id, units)
    async with database.transaction(actor=owner) as tx:
        rows = [await keys.get_key(tx, owner.account_id, key_id) for key_id in made]
        limits, now = (await plans.entitlement_of(tx, owner.account_id)).limits, tx.now
    looks = await asyncio.gather(*[load_live_limits(limiter, row, limits, now) for row in rows])
    assert [look[1].remaining for look in looks if look] == [100 - units for units in range(8)]


async def test_keys_to_look_at(ask: Ask, database: Database, owner: Actor, make_key: MakeKey) -> None:
    await make_key(owner, name="Fine")
    async with database.transaction(actor=owner) as tx:
        now = tx.now
        soon = keys.NewKey("Ends", expires_at=now + timedelta(days=3))
        await keys.create_key(tx, owner, soon)
        tx.now = now - timedelta(days=100)
        old = (await keys.create_key(tx, owner, keys.NewKey("Old"))).key
        tx.now = now
    document = "{ keysNeedingAttention { reason at denials key { id name } } }"
    result = await ask(owner, document)
    found = (result.data or {})["keysNeedingAttention"]
    assert [(one["reason"], one["key"]["name"]) for one in found] == [("EXPIRES_SOON", "Ends"), ("UNUSED", "Old")]
    assert found[1]["at"] is None
    assert found[1]["key"]["id"] == old.id


async def test_each_event_that_reads_is_paid_for(
    services: EmbeddedServices, database: Database, limiter: Limiter, owner: Actor, make_key: MakeKey
) -> None:
    """Else one subscription would read for nothing as often as its own account has news."""
    key_id = (await make_key(owner))["key"]["id"]
    body = {"account_id": owner.account_id, "key_id": key_id, "change": "update"}
    event = {"type": "KeyChanged", "id": 1, "createdAt": "2026-11-01T00:00:00+00:00", "body": body}
    hub = SubscriptionHub(database, limiter, services.redis_urls)
    hub.open()
    await until_heard(hub, owner)
    options = Options(charge=GraphQLRateLimiter(limiter, 10).charge, timeout_seconds=30)
    document = "subscription { keyChanged { key { id name status } } }"
    opened = await open_stream(SubscriptionContext(database, hub), (owner, None), document, {}, options)
    assert not isinstance(opened, Result)
    told: list[Result] = []

    async def read() -> None:
        told.extend([result async for result in opened])

    reading = asyncio.create_task(read())
    async with asyncio.timeout(30):
        while not reading.done():
            await Publisher(limiter).relayed(json.dumps(event).encode())
            await asyncio.wait({reading}, timeout=0.05)
    await opened.aclose()
    sizes = hub.sizes()
    await hub.close()
    assert [codes(result) for result in told] == [[], ["RATE_LIMITED"]]
    assert (sizes["subscribers"], sizes["accounts"]) == (0, 0)


async def until_heard(hub: SubscriptionHub, actor: Actor) -> None:
    """The connection to Redis is made in the background."""
    async with asyncio.timeout(30):
        while True:
            with suppress(Unavailable):
                async with hub.watch_keys(actor.account_id):
                    return
            await asyncio.sleep(0.02)
