"""One transaction an operation: masked errors, time limits, concurrent siblings, a database that is away."""

import asyncio
import gc
import warnings
from datetime import timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.pool import QueuePool

from portal import keys
from portal.accounts import find_person
from portal.core.actor import Actor
from portal.core.clock import utc_now
from portal.core.database import Database, Tx
from portal.graphql import Options, execute
from tests.graphql.conftest import CREATE, Answer, Ask, MakeKey, codes

VIEWER = "{ viewer { person { name email isStaff } account { name timeZone createdAt } role permissions } }"


async def test_viewer_is_the_caller(answer: Answer, owner: Actor, viewer: Actor) -> None:
    me = (await answer(owner, VIEWER))["viewer"]
    assert me["account"]["name"] == "Acme"
    assert me["account"]["createdAt"].endswith("Z")
    assert me["role"] == "owner"
    assert "keys:write" in me["permissions"]
    assert "keys:write" not in (await answer(viewer, VIEWER))["viewer"]["permissions"]


async def test_unexpected_errors_are_masked_and_logged(ask: Ask, owner: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("SELECT secret FROM somewhere")

    monkeypatch.setattr(keys, "count_keys", broken)
    with structlog.testing.capture_logs() as logs:
        result = await ask(owner, "{ keys { totalCount } }", options=Options(request_id="http_7"))
    (error,) = result.errors
    assert error.message == "Something went wrong on our side. Quote request id http_7."
    assert error.extensions == {"code": "INTERNAL", "requestId": "http_7"}
    assert error.original_error is None
    assert "SELECT" not in str(result.to_json())
    assert [(log["event"], log["request_id"]) for log in logs] == [("graphql_error", "http_7")]


async def test_a_masked_error_undoes_the_mutation(
    ask: Ask, answer: Answer, owner: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = 'mutation { createKey(input: {name: "A"}) { ... on CreatedKey { secret key { lastUsedAt } } } }'
    with monkeypatch.context() as patch:
        patch.setattr("portal.usage.last_used_by_secret", broken)
        result = await ask(owner, document)
    assert (result.data, codes(result)) == (None, ["INTERNAL"])
    assert (await answer(owner, "{ keys { totalCount } }"))["keys"]["totalCount"] == 0


async def sleeping(tx: Tx, *_: Any) -> Any:
    await tx.execute(text("SELECT pg_sleep(0.3)"))
    return {}


async def broken(*_: Any) -> None:
    raise RuntimeError


async def check_connections(answer: Answer, owner: Actor) -> None:
    """None was cut off, and the pool still serves."""
    await asyncio.sleep(0)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(warning.message) for warning in seen] == []
    assert await answer(owner, "{ viewer { role } }")


@pytest.mark.parametrize(
    "document",
    [
        "{ keys { nodes { lastUsedAt secrets { lastUsedAt } } } quota { used } plans { id } }",
        "{ quota { used } plans { id } }",
        "{ a: quota { used } b: quota { used } c: quota { used } d: quota { used } plans { id } }",
    ],
)
async def test_an_operation_is_stopped_after_its_time(
    ask: Ask, answer: Answer, owner: Actor, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch, document: str
) -> None:
    await make_key(owner)
    with monkeypatch.context() as patch, structlog.testing.capture_logs():
        patch.setattr("portal.usage.last_used_by_secret", sleeping)
        patch.setattr("portal.usage.used_in_period", sleeping)
        for _ in range(4):
            began = asyncio.get_running_loop().time()
            result = await ask(owner, document, options=Options(timeout_seconds=0.1))
            assert codes(result) == ["TIMEOUT"]
            assert not result.has_started
            assert asyncio.get_running_loop().time() - began < 1
    await check_connections(answer, owner)


async def test_what_siblings_share_sends_nothing_after_its_operation(
    ask: Ask, database: Database, owner: Actor, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loader's batch is a task of its own: stopped with the resolvers or outliving them, it sends nothing more."""
    await make_key(owner, expiresAt=(utc_now() + timedelta(days=3)).isoformat())
    held = checked_out(database)
    ended = asyncio.Event()
    list_secrets = keys.list_secrets

    async def late(*arguments: Any) -> Any:
        try:
            await asyncio.sleep(0.3)
            return await list_secrets(*arguments)
        finally:
            ended.set()

    with monkeypatch.context() as patch:
        patch.setattr(keys, "list_secrets", late)
        result = await ask(owner, "{ keysNeedingAttention { at } }", options=Options(timeout_seconds=0.1))
        assert codes(result) == ["TIMEOUT"]
        await asyncio.wait_for(ended.wait(), 10)
    assert checked_out(database) == held


def checked_out(database: Database) -> int:
    pool = database.engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


async def test_postgresql_stops_a_statement_that_outlasts_its_operation(
    ask: Ask, answer: Answer, owner: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless(tx: Tx, *_: Any) -> int:
        await tx.execute(text("SELECT pg_sleep(60)"))
        return 0

    with monkeypatch.context() as patch:
        patch.setattr("portal.usage.used_in_period", endless)
        began = asyncio.get_running_loop().time()
        assert codes(await ask(owner, "{ quota { used } }", options=Options(timeout_seconds=0.1))) == ["TIMEOUT"]
        assert asyncio.get_running_loop().time() - began < 1
    await check_connections(answer, owner)


async def test_a_resolver_that_fails_amid_its_siblings_harms_no_connection(
    ask: Ask, answer: Answer, owner: Actor, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_key(owner)
    with monkeypatch.context() as patch, structlog.testing.capture_logs():
        patch.setattr("portal.usage.used_in_period", sleeping)
        patch.setattr(keys, "count_keys", broken)
        began = asyncio.get_running_loop().time()
        result = await ask(owner, "{ quota { used } keys { totalCount nodes { id secrets { id } } } plans { id } }")
        assert codes(result) == ["INTERNAL"]
        assert asyncio.get_running_loop().time() - began < 1
    await check_connections(answer, owner)


async def test_a_failed_statement_is_masked_and_the_pool_is_fine(
    ask: Ask, answer: Answer, owner: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(tx: Tx, *_: Any) -> int:
        await tx.execute(text("SELECT 1/0"))
        return 0

    with monkeypatch.context() as patch:
        patch.setattr("portal.usage.used_in_period", failing)
        result = await ask(owner, "{ quota { used } plans { id } keys { totalCount } subscription { plan { id } } }")
    assert "INTERNAL" in codes(result)
    await check_connections(answer, owner)


async def test_many_siblings_share_the_transaction(answer: Answer, owner: Actor, make_key: MakeKey) -> None:
    for number in range(3):
        await make_key(owner, name=f"K{number}")
    fields = " ".join(f"k{n}: keys(first: {n + 1}) {{ totalCount nodes {{ id maskedSecret }} }}" for n in range(12))
    data = await answer(owner, f"{{ {fields} quota {{ used }} viewer {{ role }} plans {{ id }} }}")
    assert {data[f"k{n}"]["totalCount"] for n in range(12)} == {3}


async def test_events_are_passed_on_after_the_commit(database: Database, owner: Actor) -> None:
    told: list[str] = []

    async def after_commit(events: Any) -> None:
        told.extend(event.wire_type for event in events)

    other = Database(database.url, after_commit=after_commit)
    try:
        async with other.transaction() as tx:
            person = await find_person(tx, owner.id)
        made = await execute(other, owner, person, CREATE, {"input": {"name": "A"}})
        refused = await execute(other, owner, person, CREATE, {"input": {"name": ""}})
    finally:
        await other.close()
    assert not made.errors
    assert not refused.errors
    assert told == ["PolicyChanged", "KeyCreated"]


async def test_a_database_that_is_away_is_said_to_be(owner: Actor) -> None:
    away = Database("postgresql+asyncpg://nobody@127.0.0.1:9/none")
    try:
        result = await execute(away, owner, None, "{ plans { id } }")
    finally:
        await away.close()
    assert codes(result) == ["UNAVAILABLE"]
    assert not result.has_started


async def test_an_operation_is_chosen_by_its_name(ask: Ask, owner: Actor) -> None:
    document = "query A { __typename } query B { viewer { role } }"
    assert codes(await ask(owner, document)) == ["BAD_OPERATION"]
    assert codes(await ask(owner, document, options=Options(operation_name="C"))) == ["BAD_OPERATION"]
    assert (await ask(owner, document, options=Options(operation_name="B"))).data == {"viewer": {"role": "owner"}}
    assert (await ask(owner, document, options=Options(operation_name="A"))).data == {"__typename": "Query"}


async def test_a_reading_request_changes_nothing(ask: Ask, answer: Answer, owner: Actor) -> None:
    result = await ask(owner, CREATE, options=Options(is_read_only=True), input={"name": "A"})
    assert codes(result) == ["MUTATION_BY_GET"]
    assert (await answer(owner, "{ keys { totalCount } }"))["keys"]["totalCount"] == 0


@pytest.mark.parametrize(
    "document",
    [
        "query ($text: ID!) { node(id: $text) { id } }",
        "query ($text: ID!) { key(id: $text) { id } }",
        "query ($text: String) { keys(search: $text) { totalCount } }",
        "mutation ($text: ID!) { pauseKey(id: $text) { __typename } }",
        "mutation ($text: ID!) { rotateKey(id: $text) { ... on Problem { code } } }",
    ],
)
async def test_a_character_that_postgresql_cannot_store_is_the_callers_mistake(
    ask: Ask, owner: Actor, document: str
) -> None:
    result = await ask(owner, document, text="key_\x00")
    told = codes(result) or [(result.data or {})["rotateKey"]["code"]]
    assert told == ["INVALID"]
    assert "INVALID" not in codes(await ask(owner, document, text="key_\\u0000"))


@pytest.mark.parametrize("escape", ["\\u0000", "\\u{0}", "\\u{0000}"])
async def test_that_character_harms_no_sibling(ask: Ask, owner: Actor, escape: str) -> None:
    result = await ask(
        owner, f'{{ key(id: "{escape}") {{ id }} plans {{ id }} keys(search: "{escape}") {{ totalCount }} }}'
    )
    assert codes(result) == ["INVALID"]
