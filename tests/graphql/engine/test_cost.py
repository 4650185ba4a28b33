"""What operations cost, before they run; what is charged, and what a Redis that is away means for that."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from graphql import OperationDefinitionNode, get_operation_ast, parse

from portal.core.actor import ANONYMOUS, Actor
from portal.core.embedded import EmbeddedServices
from portal.graphql import GraphQLRateLimiter, Options, schema
from portal.graphql.engine.cost import (
    GROUPS,
    INTROSPECTION_COST,
    MAX_COST,
    MAX_POINTS,
    MAX_SECONDS_BY_MINUTE,
    POINTS_ASSUMED,
    SERIES,
    WEIGHTS,
    cost_of,
)
from portal.graphql.engine.rate_limit import REFUSED_COST, RefusedCallers
from portal.graphql.engine.validation import _prepare_cached
from portal.limits import Limiter
from portal.usage import rules
from tests.graphql.conftest import Ask, codes

PER_MINUTE = 1_000
USAGE = WEIGHTS["Key.usage"]


def cost(text: str, **variables: Any) -> int:
    document = parse(text)
    operation = get_operation_ast(document)
    assert isinstance(operation, OperationDefinitionNode)
    return cost_of(schema.graphql_schema, document, operation, variables)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ __typename }", 0),
        ("{ viewer { role } }", 2),
        ("{ a: viewer { role } b: viewer { role } }", 4),
        ("{ viewer { ...V } } fragment V on Viewer { role permissions person { ... on Person { name } } }", 5),
        ("{ keys { nodes { id } } }", 1 + 25 * 2),
        ("{ keys(first: 10) { nodes { id name } } }", 1 + 10 * 3),
        ("{ keys(first: 10) { totalCount } }", 1 + 10 * 5),
        ("{ keys(first: 1000000) { nodes { id } } }", 1 + 100 * 2),
        ("{ keys(first: -5) { nodes { id } } }", 1 + 2),
        ("{ keys(first: 10) { nodes { secrets { id } } } }", 1 + 10 * (1 + 1 + 10)),
        ("{ keys(first: 10) { nodes { id @skip(if: true) } } }", 1 + 10 * 2),
        ("{ plans { id limits { name } } }", 1 + 10 * (1 + 1 + 10)),
        ('mutation { pauseKey(id: "a") { __typename } }', 11),
        ("{ __schema { types { fields { name } } } }", INTROSPECTION_COST),
        ("subscription { usageTicks { calls units } }", 3),
        ("subscription { keyChanged { key { id } } }", 3),
    ],
)
def test_what_it_costs(text: str, expected: int) -> None:
    assert cost(text) == expected


def test_a_page_may_come_by_variable() -> None:
    text = "query ($n: Int = 7) { keys(first: $n) { nodes { id } } }"
    assert cost(text) == 1 + 7 * 2
    assert cost(text, n=3) == 1 + 3 * 2
    assert cost("query ($n: Int) { keys(first: $n) { nodes { id } } }") == 1 + 25 * 2


HEAD = "query ($from: DateTime!, $to: DateTime!, $step: Granularity!) {"
POINTS = "usage(from: $from, to: $to, granularity: $step) { points { at } }"


@pytest.mark.parametrize(
    ("step", "end", "points"),
    [
        ("MINUTE", "2026-11-02T00:00:00Z", 1_442),
        ("HOUR", "2026-11-02T00:00:00Z", 26),
        ("DAY", "2026-12-01T00:00:00+01:00", 31),
        ("MONTH", "2027-11-01T00:00:00Z", 15),
        ("DAY", "2031-03-01T00:00:00Z", MAX_POINTS),
        ("MINUTE", "2026-11-02T00:00:01Z", POINTS_ASSUMED),
        ("HOUR", "2199-11-01T00:00:00Z", POINTS_ASSUMED),
        ("DAY", "2020-01-01T00:00:00Z", 1),
    ],
)
def test_points_cost_as_many_as_the_stretch_has(step: str, end: str, points: int) -> None:
    given = {"from": "2026-11-01T00:00:00Z", "to": end, "step": step}
    assert cost(f"{HEAD} {POINTS} }}", **given) == USAGE + 1 + points
    before = POINTS.replace("points { at }", "previous { points { at } }")
    assert cost(f"{HEAD} {before} }}", **given) == USAGE + WEIGHTS["Usage.previous"] + 1 + points
    written = POINTS.replace("$from", f'"{given["from"]}"').replace("$to", f'"{end}"').replace("$step", step)
    assert cost(f"{{ {written} }}") == USAGE + 1 + points


def test_every_weight_is_of_a_field_that_there_is() -> None:
    for path in (*WEIGHTS, *SERIES, GROUPS):
        kind, _, name = path.partition(".")
        assert name in getattr(schema.graphql_schema.type_map[kind], "fields"), path  # noqa: B009  # of some types only


def test_the_longest_series_are_those_of_usage() -> None:
    assert (rules.MAX_POINTS, rules.MINUTES_SPAN.total_seconds()) == (MAX_POINTS, MAX_SECONDS_BY_MINUTE)


def test_a_day_of_minutes_in_parts_can_be_asked_for() -> None:
    """At most 4,000 groups come in all points together, so three for each of so many points is enough."""
    given = {"from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z", "step": "MINUTE"}
    asked = POINTS.replace("points { at }", "points { at totals { calls } groups { key totals { calls } } }")
    assert cost(f"{HEAD} {asked} }}", **given) == USAGE + 1 + 1_442 * (1 + 2 + 1 + 3 * 3) <= MAX_COST


async def test_a_day_of_minutes_many_times_is_too_much(ask: Ask, owner: Actor) -> None:
    """A legal document that kept the loop of a whole process busy for most of a second."""
    minutes = 'usage(from: "2026-11-01T00:00:00Z", to: "2026-11-02T00:00:00Z", granularity: MINUTE)'
    asked = " ".join(f"a{number}: {minutes} {{ points {{ at totals {{ calls units }} }} }}" for number in range(15))
    assert codes(await ask(owner, f"{{ {asked} }}")) == ["TOO_COSTLY"]


async def test_too_much_at_once_is_refused(ask: Ask, owner: Actor) -> None:
    document = """{ keys(first: 100) { nodes {
        usage(from: "2026-01-01T00:00:00Z", to: "2026-02-01T00:00:00Z", granularity: DAY) {
            points { at groups { key } } } } } }"""
    assert cost(document) > MAX_COST
    result = await ask(owner, document)
    assert codes(result) == ["TOO_COSTLY"]
    assert not result.has_started


@pytest.fixture
async def limiter(services: EmbeddedServices) -> AsyncIterator[Limiter]:
    limiter = Limiter(services.redis_urls, 1000)
    await limiter.open()
    yield limiter
    await limiter.close()


@pytest.fixture
def rate_limiter(limiter: Limiter) -> GraphQLRateLimiter:
    return GraphQLRateLimiter(limiter, PER_MINUTE)


async def test_an_operation_takes_its_cost(ask: Ask, owner: Actor, rate_limiter: GraphQLRateLimiter) -> None:
    options = Options(charge=rate_limiter.charge)
    first = (await ask(owner, "{ keys { nodes { id } } }", options=options)).to_json()["extensions"]["cost"]
    assert first == {"requested": 51, "limit": PER_MINUTE, "remaining": PER_MINUTE - 51, "resetSeconds": 4}
    again = (await ask(owner, "{ keys { nodes { id } } }", options=options)).cost
    assert again is not None
    assert again.charged is not None
    assert PER_MINUTE - 102 <= again.charged.remaining < PER_MINUTE - 51


async def test_a_page_of_the_portal_takes_nothing(ask: Ask, owner: Actor) -> None:
    assert "extensions" not in (await ask(owner, "{ viewer { role } }")).to_json()


async def test_what_is_refused_costs_a_little(ask: Ask, owner: Actor, rate_limiter: GraphQLRateLimiter) -> None:
    refused = await ask(owner, "{ nothing }", options=Options(charge=rate_limiter.charge))
    assert codes(refused) == ["BAD_DOCUMENT"]
    assert refused.to_json()["extensions"]["cost"]["requested"] == REFUSED_COST


async def test_more_than_is_left_does_not_run(
    ask: Ask, owner: Actor, viewer: Actor, rate_limiter: GraphQLRateLimiter
) -> None:
    options = Options(charge=rate_limiter.charge)
    await rate_limiter.charge(owner, PER_MINUTE - 20)
    result = await ask(owner, "{ keys { nodes { id } } }", options=options)
    assert codes(result) == ["RATE_LIMITED"]
    assert not result.has_started
    assert result.cost is not None
    assert result.cost.charged is not None
    assert 0 < (result.cost.charged.retry_seconds or 0) <= 3
    assert not (await ask(owner, "{ viewer { role } }", options=options)).errors
    assert not (await ask(viewer, "{ keys { nodes { id } } }", options=options)).errors


async def test_an_empty_allowance_does_not_even_say_what_is_wrong(
    ask: Ask, owner: Actor, rate_limiter: GraphQLRateLimiter
) -> None:
    await rate_limiter.charge(owner, PER_MINUTE)
    assert codes(await ask(owner, "{ nothing }", options=Options(charge=rate_limiter.charge))) == ["RATE_LIMITED"]


async def test_who_has_nothing_left_is_refused_unread(ask: Ask, owner: Actor, viewer: Actor, limiter: Limiter) -> None:
    slow = GraphQLRateLimiter(limiter, 30)
    options = Options(charge=slow.charge, find_refusal=slow.find_refusal)
    await slow.charge(owner, 25)
    (first, *others) = [await ask(owner, f"{{ nothing{number}", options=options) for number in range(5)]
    read = _prepare_cached.cache_info().misses
    again = [await ask(owner, f"{{ nothing{number}", options=options) for number in range(5, 10)]
    assert _prepare_cached.cache_info().misses == read
    for result in (first, *others, *again):
        assert codes(result) == ["RATE_LIMITED"]
        assert result.cost is not None
        assert result.cost.charged is not None
        assert 0 < (result.cost.charged.retry_seconds or 0) <= 11
        assert 5 <= result.cost.charged.remaining < REFUSED_COST
    assert codes(await ask(viewer, "{ nothing", options=options)) == ["BAD_DOCUMENT"]


async def test_being_refused_for_too_much_costs_a_little_until_nothing_is_read(
    ask: Ask, owner: Actor, limiter: Limiter
) -> None:
    slow = GraphQLRateLimiter(limiter, 60)
    options = Options(charge=slow.charge, find_refusal=slow.find_refusal)
    await slow.charge(owner, 15)
    first = (await ask(owner, "{ keys { nodes { id } } }", options=options)).cost
    assert first is not None
    assert first.charged is not None
    assert 35 <= first.charged.remaining < 45
    assert (first.charged.retry_seconds or 0) > 10
    for _ in range(5):
        last = await ask(owner, "{ keys { nodes { id } } }", options=options)
    assert codes(last) == ["RATE_LIMITED"]
    read = _prepare_cached.cache_info().misses
    assert codes(await ask(owner, "{ nothingOfThat }", options=options)) == ["RATE_LIMITED"]
    assert _prepare_cached.cache_info().misses == read


def test_what_is_remembered_ends_and_is_bounded() -> None:
    cache = RefusedCallers(most=2)
    cache.remember("ann", until=5.0, now=1.0)
    cache.remember("ben", until=9.0, now=1.0)
    cache.remember("cem", until=9.0, now=1.0)
    assert [cache.seconds_left(name, 2.0) for name in ("ann", "ben", "cem")] == [3.0, 7.0, None]
    cache.remember("cem", until=9.0, now=5.0)
    assert [cache.seconds_left(name, 5.0) for name in ("ann", "ben", "cem")] == [None, 4.0, 4.0]
    assert cache.seconds_left("ben", 9.0) is None


async def test_an_anonymous_caller_has_a_small_share_by_address(rate_limiter: GraphQLRateLimiter) -> None:
    charged = await rate_limiter.charge(ANONYMOUS, 1)
    assert charged is not None
    assert charged.limit == PER_MINUTE // 100


async def test_without_redis_what_is_left_is_not_told(ask: Ask, owner: Actor) -> None:
    away = Limiter(["redis://127.0.0.1:9"], 50)
    await away.open()
    try:
        options = Options(charge=GraphQLRateLimiter(away, PER_MINUTE).charge)
        for _ in range(3):
            result = await ask(owner, "{ viewer { role } }", options=options)
            assert result.to_json() == {"data": {"viewer": {"role": "owner"}}, "extensions": {"cost": {"requested": 2}}}
        assert codes(await ask(owner, "{ nothing }", options=options)) == ["BAD_DOCUMENT"]
    finally:
        await away.close()


@pytest.mark.parametrize("cost", [1, 7, PER_MINUTE // 3, PER_MINUTE])
async def test_without_redis_each_process_bounds_every_caller_by_itself(owner: Actor, cost: int) -> None:
    away = Limiter(["redis://127.0.0.1:9"], 50)
    await away.open()
    try:
        alone = GraphQLRateLimiter(away, PER_MINUTE)
        admitted = 0
        while (charged := await alone.charge(owner, cost)) is None:
            admitted += cost
        assert PER_MINUTE - cost - 10 <= admitted <= PER_MINUTE + 10  # it is refilled meanwhile
        assert charged.retry_seconds
        assert charged.limit == PER_MINUTE
        assert 0 <= charged.remaining < max(cost, 12)
        assert await alone.charge(ANONYMOUS, 1) is None
    finally:
        await away.close()


async def test_without_redis_what_can_never_be_paid_is_refused(owner: Actor) -> None:
    away = Limiter(["redis://127.0.0.1:9"], 50)
    await away.open()
    try:
        charged = await GraphQLRateLimiter(away, PER_MINUTE).charge(owner, PER_MINUTE + 1)
        assert charged is not None
        assert charged.retry_seconds
    finally:
        await away.close()
