"""Operations made up from the schema, many of them: whatever they ask, nothing of ours fails."""

import asyncio
from typing import Any

from graphql import build_schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import mutations, nodes, queries

from portal.core.actor import Actor
from portal.graphql import sdl
from tests.faults.tools.report import sized
from tests.graphql.conftest import Ask, MakeKey, codes

SCHEMA = build_schema(sdl())
EXAMPLES = sized(40, 5_000)
OURS = {"INTERNAL", "UNAVAILABLE"}
ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Nowhere", "")
INSTANTS = ("2026-11-01T00:00:00Z", "2026-11-20T12:30:00+05:45", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "soon")


def scalars(key_id: str) -> dict[str, st.SearchStrategy[Any]]:
    """Half of the time something that could be right."""
    texts = st.one_of(
        st.sampled_from((key_id, "key_1", "plan_free", "acct_1", "", "\x00", "é" * 50)), st.text(max_size=30)
    )
    numbers = st.one_of(st.integers(-5, 200), st.sampled_from((2**31, 2**53 - 1, -(2**53), 10**30)))
    return {
        "DateTime": st.sampled_from(INSTANTS).map(nodes.String),
        "BigInt": numbers.map(nodes.Int),
        "JSON": st.one_of(texts.map(nodes.String), numbers.map(nodes.Int), st.just(nodes.Null)),
        "ID": texts.map(nodes.String),
    }


async def check(ask: Ask, actor: Actor | None, document: str) -> None:
    result = await ask(actor, document)
    assert not OURS & set(codes(result)), (document, result.errors)


def fuzz(
    ask: Ask, loop: asyncio.AbstractEventLoop, strategy: st.SearchStrategy[str], actors: list[Actor | None]
) -> int:
    """In a thread of its own, since Hypothesis wants a plain function; the operations run in the tests' loop."""
    ran = 0

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=[*HealthCheck])
    @given(document=strategy, actor=st.sampled_from(actors))
    def run(document: str, actor: Actor | None) -> None:
        nonlocal ran
        ran += 1
        asyncio.run_coroutine_threadsafe(check(ask, actor, document), loop).result(60)

    run()
    return ran


async def test_no_query_fails_of_us(ask: Ask, owner: Actor, viewer: Actor, make_key: MakeKey) -> None:
    key_id = (await make_key(owner))["key"]["id"]
    strategy = queries(SCHEMA, custom_scalars=scalars(key_id))
    assert await asyncio.to_thread(fuzz, ask, asyncio.get_running_loop(), strategy, [owner, viewer, None]) >= EXAMPLES


async def test_no_mutation_fails_of_us(ask: Ask, owner: Actor, viewer: Actor, make_key: MakeKey) -> None:
    key_id = (await make_key(owner))["key"]["id"]
    strategy = mutations(SCHEMA, custom_scalars=scalars(key_id))
    assert await asyncio.to_thread(fuzz, ask, asyncio.get_running_loop(), strategy, [owner, viewer, None]) >= EXAMPLES
