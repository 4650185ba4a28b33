"""A refused flood asks Redis once a second and gets the answers that Redis would have given."""

import asyncio

from redis.asyncio import Redis

from portal.check import Code
from portal.check.policy import CachedPolicy, KeyPolicy, NamedLimit
from portal.check.policy.compile import Rule
from portal.check.policy.denials import _lasts_us
from portal.core.actor import Actor
from portal.limits import Decision, LimitRequest, LimitState, Mode, Quota, Status, Subject, Window
from tests.check.conftest import MakeKey, Process
from tests.check.test_checker import ask


async def calls(redis: Redis) -> int:
    stats = await redis.info("commandstats")
    return int(stats.get("cmdstat_evalsha", {}).get("calls", 0))


async def test_denials_are_remembered_until_the_instant_that_redis_named(
    process: Process, make_key: MakeKey, owner: Actor, redis: Redis
) -> None:
    made = await make_key(owner)
    for _ in range(10):
        assert (await ask(process, made.secret)).valid
    first = await ask(process, made.secret)
    before = await calls(redis)
    repeated = [await ask(process, made.secret) for _ in range(50)]
    assert await calls(redis) <= before + 1
    assert {answer.code for answer in repeated} == {Code.RATE_LIMITED}
    assert first.retry_after_ms is not None
    waits = [answer.retry_after_ms or 0 for answer in repeated]
    assert waits == sorted(waits, reverse=True)
    assert waits[0] <= first.retry_after_ms
    assert len({answer.request_id for answer in repeated}) == 50
    await asyncio.sleep(waits[-1] / 1000)
    assert (await ask(process, made.secret)).valid


async def test_looking_and_another_cost_are_not_answered_from_memory(
    process: Process, make_key: MakeKey, owner: Actor
) -> None:
    made = await make_key(owner)
    assert (await ask(process, made.secret, cost=8)).valid
    assert (await ask(process, made.secret, cost=3)).code is Code.RATE_LIMITED
    assert (await ask(process, made.secret, cost=0)).valid
    assert (await ask(process, made.secret, cost=2)).valid


async def test_denials_from_memory_are_counted(process: Process, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    before = len(process.journalled())
    for _ in range(15):
        await ask(process, made.secret)
    assert [row.code for row in process.journalled()[before:]] == ["VALID"] * 10 + ["RATE_LIMITED"] * 5


def test_a_denial_is_not_repeated_beyond_its_period() -> None:
    request = LimitRequest(
        "acct", 1, Mode.CONSUME, 1, (), Quota(10, (("2026-10", 0, 1_000), ("2026-11", 1_000, 9_000)))
    )
    denied = Decision(Status.RATE_LIMITED, 900, used=1, period=0, states=[LimitState(1, 5_000_000, 5_000_000)])
    assert _lasts_us(request, denied) == 100
    denied.period = -1
    assert _lasts_us(request, denied) == 5_000_000


def test_resources_share_a_prepared_policy_where_no_rule_tells_them_apart() -> None:
    policy = policy_of(None)
    cached = CachedPolicy(policy)
    assert cached.prepared_for("a") is cached.prepared_for("b")
    told_apart = CachedPolicy(policy_of("a"))
    assert told_apart.prepared_for("a") is not told_apart.prepared_for("b")
    assert told_apart.prepared_for("b").limits == ()


def policy_of(resource: str | None) -> KeyPolicy:
    rule = Rule(Subject("key", (Window(5, 1000),)), (NamedLimit("burst", 5, 1, 1),), resource)
    names = ("acct", "key", "sec", "live", "")
    flags = (False, False, False)
    return KeyPolicy(
        1, *names, (), (), {}, *flags, None, None, "open", (rule,), None, (), None, is_overage_allowed=False
    )
