"""The script decides all limits and the quota of many checks at once, all or nothing for each."""

import asyncio

import pytest
from redis.asyncio import Redis

from portal.core.ids import new_id
from portal.limits import (
    Bucket,
    Decision,
    Limiter,
    LimitRequest,
    LimitsUnavailable,
    Mode,
    Quota,
    Retry,
    Seed,
    Status,
    Subject,
    Window,
)

SECOND = 1_000_000
ALWAYS = (("2026-11", 0, 2**52), ("2026-12", 2**52, 2**52 + 1))


def request(
    account: str, cost: int = 1, *windows: tuple[int, int], quota: int | None = None, mode: Mode = Mode.CONSUME
) -> LimitRequest:
    subject = Subject(f"key:{account}", tuple(Window(amount, length) for amount, length in windows))
    return LimitRequest(
        account_id=account,
        version=1,
        mode=mode,
        cost=cost,
        subjects=(subject,) if windows else (),
        quota=None if quota is None else Quota(quota, ALWAYS),
        seed=Seed(1, {"2026-11": 0}),
    )


async def many(limiter: Limiter, one: LimitRequest, count: int) -> list[Decision]:
    return await asyncio.gather(*[limiter.decide_one(one) for _ in range(count)])


@pytest.mark.fast
async def test_admits_exactly_the_limit_and_says_when_the_next_unit_passes(limiter: Limiter) -> None:
    decisions = await many(limiter, request(new_id("acct"), 1, (5, 10 * SECOND)), 8)
    assert [d.status for d in decisions] == [Status.ADMITTED] * 5 + [Status.RATE_LIMITED] * 3
    assert [d.states[0].used for d in decisions] == [0, 1, 2, 3, 4, 5, 5, 5]
    assert 9 * SECOND < decisions[-1].states[0].retry_us <= 10 * SECOND
    assert decisions[-1].states[0].reset_us == decisions[-1].states[0].retry_us


async def test_a_denial_by_one_limit_consumes_of_no_other(limiter: Limiter) -> None:
    one = request(new_id("acct"), 1, (12, 60 * SECOND), (1000, 600 * SECOND), quota=200)
    decisions = await many(limiter, one, 13)
    assert [d.status for d in decisions].count(Status.ADMITTED) == 12
    assert decisions[12].status is Status.RATE_LIMITED
    assert decisions[12].used == 12
    assert decisions[12].states[1].used == 12


async def test_the_quota_denies_after_the_windows(limiter: Limiter) -> None:
    decisions = await many(limiter, request(new_id("acct"), 1, (100, SECOND), quota=3), 5)
    assert [d.status for d in decisions] == [Status.ADMITTED] * 3 + [Status.QUOTA_EXCEEDED] * 2
    assert decisions[-1].states[0].used == 3


async def test_overage_counts_and_never_denies(limiter: Limiter) -> None:
    decisions = await many(limiter, request(new_id("acct"), 7, quota=-1), 3)
    assert [d.used for d in decisions] == [0, 7, 14]


async def test_a_cost_takes_its_units_and_a_cost_above_the_limit_never_passes(limiter: Limiter) -> None:
    account = new_id("acct")
    first = await limiter.decide_one(request(account, 7, (10, 60 * SECOND)))
    second = await limiter.decide_one(request(account, 4, (10, 60 * SECOND)))
    third = await limiter.decide_one(request(account, 3, (10, 60 * SECOND)))
    never = await limiter.decide_one(request(account, 11, (10, 60 * SECOND)))
    assert (first.status, second.status, third.status) == (Status.ADMITTED, Status.RATE_LIMITED, Status.ADMITTED)
    assert never.states[0].retry_us == -2


async def test_the_wait_for_a_large_cost_ends_when_enough_units_have_left(limiter: Limiter) -> None:
    account = new_id("acct")
    for _ in range(4):
        await limiter.decide_one(request(account, 2, (8, SECOND)))
        await asyncio.sleep(0.05)
    denied = await limiter.decide_one(request(account, 5, (8, SECOND)))
    state = denied.states[0]
    assert state.used == 8
    assert state.reset_us + 90_000 < state.retry_us < state.reset_us + 400_000
    await asyncio.sleep(state.retry_us / SECOND)
    assert (await limiter.decide_one(request(account, 5, (8, SECOND)))).status is Status.ADMITTED


async def test_looking_consumes_nothing(limiter: Limiter) -> None:
    account = new_id("acct")
    await many(limiter, request(account, 1, (5, 60 * SECOND), quota=10, mode=Mode.LOOK), 8)
    seen = await limiter.decide_one(request(account, 0, (5, 60 * SECOND), quota=10))
    assert (seen.used, seen.states[0].used) == (0, 0)


async def test_an_older_policy_is_stale_and_decides_nothing(limiter: Limiter) -> None:
    account = new_id("acct")
    await limiter.decide_one(request(account, 1, (5, SECOND)))
    await limiter.raise_policy_version(account, 2)
    assert (await limiter.decide_one(request(account, 1, (5, SECOND)))).status is Status.STALE


async def test_without_a_record_the_caller_is_asked_for_a_seed(limiter: Limiter, redis: Redis) -> None:
    account = new_id("acct")
    one = request(account, 1, quota=100)
    one.seed = None
    assert (await limiter.decide_one(one)).status is Status.UNSEEDED
    one.seed = Seed(1, {"2026-11": 42})
    assert (await limiter.decide_one(one)).used == 42
    one.seed = None
    assert (await limiter.decide_one(one)).used == 43
    await redis.delete(f"account:{account}")
    assert (await limiter.decide_one(one)).status is Status.UNSEEDED


async def test_a_period_that_began_after_the_record_counts_from_zero(limiter: Limiter, redis: Redis) -> None:
    account = new_id("acct")
    now = 1_000_000 * (await redis.time())[0]
    one = request(account, 1)
    one.quota, one.seed = Quota(100, (("old", 0, now - 1), ("new", now - 1, 2**52))), Seed(1, {})
    assert (await limiter.decide_one(one)).status is Status.UNSEEDED
    await redis.hset(f"account:{account}", "since", str(now - 2))
    assert (await limiter.decide_one(one)).used == 0


async def test_ingest_raises_a_counter_and_never_lowers_it(limiter: Limiter) -> None:
    account = new_id("acct")
    one = request(account, 1, quota=100)
    await limiter.decide_one(one)
    await limiter.raise_used(account, "2026-11", 50, 0)
    await limiter.raise_used(account, "2026-11", 20, 0)
    assert (await limiter.decide_one(one)).used == 50


async def test_a_period_that_begins_with_ingest_keeps_its_record(limiter: Limiter, redis: Redis) -> None:
    account = new_id("acct")
    await limiter.decide_one(request(account, 1, quota=100))
    await redis.pexpire(f"account:{account}", 1000)
    await limiter.raise_used(account, "2026-12", 5, 0)
    assert await redis.pttl(f"account:{account}") > 86_400_000


async def test_a_retry_gets_the_first_answer_and_consumes_nothing(limiter: Limiter) -> None:
    account = new_id("acct")
    one = request(account, 1, (5, 60 * SECOND), quota=100)
    one.retry = Retry(("svc_1:order-1",), "blob", "digest")
    first, second = await limiter.decide_one(one), await limiter.decide_one(one)
    assert first.status is Status.ADMITTED
    assert second.status is Status.REPEATED
    assert (second.now_us, second.used, second.blob) == (first.now_us, 0, "blob")
    assert second.states == first.states
    one.retry = None
    assert (await limiter.decide_one(one)).used == 1


async def test_confirming_answers_only_whether_the_policy_is_current(limiter: Limiter) -> None:
    account = new_id("acct")
    assert (await limiter.decide_one(request(account, mode=Mode.CONFIRM))).status is Status.CONFIRMED


async def test_a_server_that_forgot_the_script_gets_it_again(limiter: Limiter, redis: Redis) -> None:
    await redis.script_flush()
    assert (await limiter.decide_one(request(new_id("acct"), 1, (5, SECOND)))).status is Status.ADMITTED


async def test_a_server_that_refuses_is_as_good_as_away(limiter: Limiter, redis: Redis) -> None:
    await redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(LimitsUnavailable, match="OOM"):
            await limiter.raise_policy_version(new_id("acct"), 2)
        with pytest.raises(LimitsUnavailable):
            await limiter.decide_one(request(new_id("acct"), 1, (5, SECOND)))
    finally:
        await redis.config_set("maxmemory", "0")


async def test_a_record_lives_on_from_period_to_period(limiter: Limiter, redis: Redis) -> None:
    one = request(new_id("acct"), 1, quota=100)
    await limiter.decide_one(one)
    await redis.pexpire(f"account:{one.account_id}", 60_000)
    await redis.hdel(f"account:{one.account_id}", "used:2026-11")
    await limiter.decide_one(one)
    assert await redis.pttl(f"account:{one.account_id}") > 60_000


async def test_a_log_ends_after_two_of_its_longest_window_and_a_bucket_when_it_is_empty(
    limiter: Limiter, redis: Redis
) -> None:
    account = new_id("acct")
    await limiter.decide_one(request(account, 1, (5, SECOND), (50, 20 * SECOND)))
    assert 20_000 < await redis.pttl(f"limit:key:{account}") <= 40_000
    bucket = Subject(f"bucket:{account}", bucket=Bucket(10, 1, 10 * SECOND))
    await limiter.decide_one(LimitRequest(account, 0, Mode.CONSUME, 3, (bucket,), None))
    assert 20_000 < await redis.pttl(f"limit:bucket:{account}") <= 30_000
