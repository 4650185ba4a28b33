"""Retry ids: who they belong to, what they are bound to, what is stored under them, and what older versions stored."""

import asyncio
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from portal import keys
from portal.check import Code, IdReused
from portal.check.request import CheckRequest
from portal.core.actor import Actor
from portal.core.database import Database
from portal.core.ids import new_id
from tests.check.conftest import MakeKey, Process, make_customer
from tests.check.test_checker import SERVICE, ask

MINUTE = 60_000
ASKED: dict[str, Any] = {"cost": 2, "resource": "GET /a", "scopes": ["a:read", "b:read"], "ip": "203.0.113.7"}
OTHER_CONTENT: list[dict[str, Any]] = [
    {"cost": 1},
    {"cost": 3},
    {"cost": 1000},
    {"cost": 0},
    {"resource": ""},
    {"resource": "GET /a "},
    {"resource": "GET /b"},
    {"resource": "get /a"},
    {"scopes": []},
    {"scopes": ["a:read"]},
    {"scopes": ["a:read", "b:read", "c:read"]},
    {"scopes": ["a:readb:read"]},
    {"ip": None},
    {"ip": "203.0.113.8"},
    {"ip": "2001:db8::7"},
    {"cost": 3, "resource": "GET /b", "scopes": [], "ip": None},
]


def counted(process: Process) -> Counter[str]:
    return Counter({record.request_id: record.cost for record in process.journalled() if record.code == "VALID"})


async def left(process: Process, secret: str) -> int:
    answer = await ask(process, secret, cost=0)
    return {limit.name: limit.remaining for limit in answer.limits}["sustained"]


async def test_a_retry_after_a_change_of_limits_gets_the_first_answer_without_them(
    process: Process, make_key: MakeKey, owner: Actor
) -> None:
    made = await make_key(owner)
    first = await ask(process, made.secret, id="order-1", cost=2)
    async with process.database.transaction(owner.account_id) as tx:
        limits = [keys.KeyLimit("hourly", 5, 3_600_000)]
        await keys.update_key(tx, owner, made.key.id, keys.KeyChanges(limits=limits))
    retried = await ask(process, made.secret, id="order-1", cost=2)
    assert (retried.code, retried.request_id, retried.quota) == (first.code, first.request_id, first.quota)
    assert retried.limits == []
    assert len((await ask(process, made.secret)).limits) == 3


async def test_the_stored_answer_says_so(process: Process, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner, scopes=["a:*", "b:read"])
    first = await ask(process, made.secret, id="1", **ASKED)
    again = await ask(process, made.secret, id="1", **ASKED)
    other_order = await ask(process, made.secret, id="1", **{**ASKED, "scopes": ["b:read", "a:read", "a:read"]})
    assert first.replayed is msgspec.UNSET
    assert again.replayed is other_order.replayed is True
    assert "replayed" not in msgspec.to_builtins(first)
    assert msgspec.to_builtins(again) == msgspec.to_builtins(first) | {"replayed": True}
    assert other_order == again


@pytest.mark.parametrize("change", OTHER_CONTENT)
async def test_other_content_under_a_known_id_is_refused_and_consumes_nothing(
    process: Process, make_key: MakeKey, owner: Actor, change: dict[str, Any]
) -> None:
    """Also where it would have been denied: a scope that is missing, an address, a cost above the limit."""
    made = await make_key(owner, scopes=["a:*", "b:read"], allowed_ips=["203.0.113.0/24"])
    first = await ask(process, made.secret, id="1", **ASKED)
    for _ in range(3):
        with pytest.raises(IdReused):
            await ask(process, made.secret, id="1", **ASKED | change)
    assert (await ask(process, made.secret, id="1", **ASKED)).request_id == first.request_id
    assert counted(process) == {first.request_id: 2}
    quota = (await ask(process, made.secret, id="2", **ASKED)).quota
    assert quota is not None
    assert (quota.used, quota.remaining) == (4, 9_996)


async def test_what_is_denied_since_is_denied(process: Process, make_key: MakeKey, owner: Actor) -> None:
    """A stored answer never outlives the key's right."""
    made = await make_key(owner)
    await ask(process, made.secret, id="1")
    async with process.database.transaction(owner.account_id) as tx:
        await keys.pause_key(tx, owner, made.key.id)
    assert (await ask(process, made.secret, id="1")).code is Code.DISABLED
    with pytest.raises(IdReused):
        await ask(process, made.secret, id="1", cost=2)


@pytest.mark.parametrize("denied", ["window", "quota", "scope", "cost"])
async def test_a_denial_is_not_remembered(process: Process, database: Database, denied: str) -> None:
    _, secret = await make_customer(database, (1, 300), monthly_quota=1 if denied == "quota" else 100)
    asked: dict[str, Any] = {"id": "1"}
    if denied in ("window", "quota"):
        assert (await ask(process, secret)).valid
    more: dict[str, dict[str, Any]] = {"scope": {"scopes": ["x"]}, "cost": {"cost": 2}}
    asked |= more.get(denied, {})
    first, second = await ask(process, secret, **asked), await ask(process, secret, **asked)
    assert not first.valid
    assert first.replayed is second.replayed is msgspec.UNSET
    assert first.request_id != second.request_id
    if denied == "window":
        await asyncio.sleep(0.35)
        assert (await ask(process, secret, **asked)).valid
    denials = [record for record in process.journalled() if record.code != "VALID"]
    assert len({record.request_id for record in denials}) == len(denials) == 2


@pytest.mark.parametrize("question", [{"cost": 0}, {"cost": 3, "explain": True}])
async def test_looks_and_explains_store_nothing(
    process: Process, make_key: MakeKey, owner: Actor, question: dict[str, Any]
) -> None:
    made = await make_key(owner)
    for _ in range(3):
        assert (await ask(process, made.secret, id="1", **question)).replayed is msgspec.UNSET
    answers = [await ask(process, made.secret, id="1", cost=3) for _ in range(5)]
    assert [answer.replayed for answer in answers] == [msgspec.UNSET, True, True, True, True]
    assert await left(process, made.secret) == 97


async def test_an_explain_under_a_known_id_explains(process: Process, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    await ask(process, made.secret, id="1", cost=9)
    explained = await ask(process, made.secret, id="1", cost=9, explain=True)
    assert explained.explanation.code is Code.RATE_LIMITED  # type: ignore[union-attr]  # it is one


async def test_the_limit_holds_whatever_ids_are_sent(process: Process, database: Database) -> None:
    """The first report: sixty checks of one id and other resources, and sixty of a cost after a look."""
    _, secret = await make_customer(database, (5, MINUTE))
    await ask(process, secret, id="x", cost=0)
    outcomes = await asyncio.gather(
        *[ask(process, secret, id="x", resource=f"GET /{n}", cost=1 + n % 3) for n in range(60)], return_exceptions=True
    )
    assert sum(isinstance(outcome, IdReused) for outcome in outcomes) == 59
    assert sum(counted(process).values()) <= 5


async def test_ids_belong_to_a_token_and_a_key(process: Process, make_key: MakeKey, owner: Actor) -> None:
    first, second = await make_key(owner), await make_key(owner)
    answers = [await ask(process, key.secret, id="1", cost=n) for n, key in enumerate((first, second), 1)]
    other = await process.checker.check("svc_2", CheckRequest(key=first.secret, id="1", cost=3))
    assert len({answers[0].request_id, answers[1].request_id, other.response.request_id}) == 3
    assert all(answer.valid for answer in (*answers, other.response))
    assert sum(counted(process).values()) == 6


async def test_a_rotated_secret_is_the_same_key(process: Process, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    first = await ask(process, made.secret, id="1")
    async with process.database.transaction(owner.account_id) as tx:
        rotated = await keys.rotate_key(tx, owner, made.key.id, timedelta(hours=1))
    retried = await ask(process, rotated.secret, id="1")
    assert (retried.request_id, retried.replayed) == (first.request_id, True)
    with pytest.raises(IdReused):
        await ask(process, rotated.secret, id="1", cost=2)
    assert len({record.secret_id for record in process.journalled()}) == 1


async def test_parallel_retries_are_one_check(process: Process, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    await left(process, made.secret)
    answers = await asyncio.gather(*[ask(process, made.secret, id=str(n % 4)) for n in range(128)])
    assert {answer.valid for answer in answers} == {True}
    assert len({answer.request_id for answer in answers}) == 4
    assert sum(answer.replayed is msgspec.UNSET for answer in answers) == 4
    assert counted(process) == dict.fromkeys({answer.request_id for answer in answers}, 1)
    assert await left(process, made.secret) == 96


@pytest.mark.parametrize("seed", range(10))
async def test_many_ids_and_contents_agree_with_a_model(
    process: Process, make_key: MakeKey, owner: Actor, seed: int
) -> None:
    """One id answers one content of one token and key, in bursts as one by one, and costs it once."""
    rng = random.Random(seed)  # noqa: S311  # no secret
    made = [await make_key(owner, scopes=["*"]) for _ in range(3)]
    for key in made:
        await left(process, key.secret)
    known: dict[tuple[str, str, str], tuple[tuple[Any, ...], str]] = {}
    units = 0
    for _ in range(12):
        burst = []
        for _ in range(rng.choice([1, 1, 2, 50])):
            name = rng.choice(["svc_1", "svc_2"]), rng.choice(made).secret, rng.choice("abcdefgh")
            content = 1, rng.choice(["", "GET /a"]), rng.choice([(), ("s",)]), rng.choice([None, "::1"])
            burst.append((name, content))
        requests = [
            process.checker.check(service, CheckRequest(secret, cost, resource, [*scopes], ip, name))
            for (service, secret, name), (cost, resource, scopes, ip) in burst
        ]
        outcomes = await asyncio.gather(*requests, return_exceptions=True)
        for (name, content), outcome in zip(burst, outcomes, strict=True):
            if isinstance(outcome, IdReused):
                assert known[name][0] != content
                continue
            assert not isinstance(outcome, BaseException)
            response = outcome.response
            if not response.valid:  # the burst limit: nothing is known of it
                assert name not in known
            elif name in known:
                assert (known[name], response.replayed) == ((content, response.request_id), True)
            else:
                assert response.replayed is msgspec.UNSET
                known[name] = content, response.request_id
                units += content[0]
    assert counted(process) == {request_id: content[0] for content, request_id in known.values()}
    assert len(known) == len({request_id for _, request_id in known.values()})
    assert sum([100 - await left(process, key.secret) for key in made]) == units


async def test_what_older_versions_stored(process: Process, make_key: MakeKey, owner: Actor, redis: Redis) -> None:
    """They kept denials and looks too, and no digest: denials are no answers, the rest is compared by its record."""
    made = await make_key(owner)
    await left(process, made.secret)
    entry = [new_id("req"), "sec_1", "GET /a", 2, ""]
    states = [0, 0, -1] * 2
    for name, cost, status in (("admitted", 2, 0), ("denied", 2, 1), ("look", 0, 0)):
        blob = msgspec.json.encode([*entry[:3], cost, ""]).decode()
        answer = msgspec.msgpack.encode([blob, 1_790_000_000_000_000, 0, 0, states, status])
        await redis.set(f"answer:{owner.account_id}:{SERVICE}:{made.key.id}:{name}", answer)
    assert (await ask(process, made.secret, id="admitted", resource="GET /a", cost=2)).replayed is True
    for other in ({"cost": 1}, {"resource": "GET /b"}, {"ip": "::1"}):
        with pytest.raises(IdReused):
            await ask(process, made.secret, id="admitted", **{"resource": "GET /a", "cost": 2, **other})
    denied = await ask(process, made.secret, id="denied", resource="GET /a", cost=2)
    assert (denied.valid, denied.replayed) == (True, msgspec.UNSET)
    with pytest.raises(IdReused):
        await ask(process, made.secret, id="look", resource="GET /a", cost=2)
    assert await left(process, made.secret) == 98


async def test_what_is_stored_reads_as_before(process: Process, make_key: MakeKey, owner: Actor, redis: Redis) -> None:
    """The first six fields are what the script of the version before takes, and the record what its checker does."""
    made = await make_key(owner)
    answer = await ask(process, made.secret, id="1", resource="GET /a", ip="203.0.113.7", cost=2)
    stored: Any = await redis.get(f"answer:{owner.account_id}:{SERVICE}:{made.key.id}:1")
    blob, now_us, used, period, states, status, digest = msgspec.msgpack.decode(stored)
    assert (used, status, len(states), len(digest)) == (0, 0, 6, 32)
    assert period >= 0
    draft, _, *rest = msgspec.json.decode(blob)
    assert rest == ["GET /a", 2, "203.0.113.7"]
    assert process.checker.ids.with_time(draft, now_us) == answer.request_id
