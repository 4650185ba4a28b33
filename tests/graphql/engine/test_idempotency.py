"""Idempotency: the same key and request run once; what is kept of the answer tells nobody anything."""

import asyncio
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from sqlalchemy import text

from portal.core.actor import Actor, Role
from portal.core.database import Database
from portal.graphql import IdempotencyKey, Options, Result
from portal.graphql.engine.idempotency import purge_responses
from tests.graphql.conftest import CREATE, Answer, Ask, MakeKey, codes

CREDENTIAL = "pat_of_the_caller"


def idempotency_key(name: str = "order-7", credential: str = CREDENTIAL, **more: Any) -> Options:
    return Options(idempotency_key=IdempotencyKey(name, credential), **more)


def secret(result: Result) -> str:
    assert not result.errors, result.errors
    assert result.data is not None
    found: str = result.data["createKey"]["secret"]
    return found


async def count(answer: Answer, actor: Actor) -> int:
    total: int = (await answer(actor, "{ keys { totalCount } }"))["keys"]["totalCount"]
    return total


async def test_a_lost_answer_can_be_fetched_again(ask: Ask, answer: Answer, owner: Actor) -> None:
    first = await ask(owner, CREATE, options=idempotency_key(), input={"name": "A"})
    again = await ask(owner, CREATE, options=idempotency_key(), input={"name": "A"})
    assert (first.is_repeated, again.is_repeated) == (False, True)
    assert secret(again) == secret(first)
    assert again.data == first.data
    assert await count(answer, owner) == 1


@pytest.mark.parametrize(
    ("document", "variables"),
    [(CREATE, {"input": {"name": "B"}}), (CREATE + " # other", {"input": {"name": "A", "scopes": ["a"]}})],
)
async def test_the_same_key_for_another_request_is_refused(
    ask: Ask, answer: Answer, owner: Actor, document: str, variables: dict[str, Any]
) -> None:
    await ask(owner, CREATE, options=idempotency_key(), input={"name": "A"})
    other = await ask(owner, document, options=idempotency_key(), **variables)
    assert codes(other) == ["IDEMPOTENCY_CONFLICT"]
    assert not other.has_started
    assert await count(answer, owner) == 1


async def test_only_ignored_characters_may_differ(ask: Ask, owner: Actor) -> None:
    first = await ask(owner, CREATE, options=idempotency_key(), input={"name": "A"})
    again = await ask(owner, CREATE + "# a comment\n", options=idempotency_key(), input={"name": "A"})
    assert secret(again) == secret(first)


async def test_concurrent_duplicates_run_once(ask: Ask, answer: Answer, owner: Actor) -> None:
    results = await asyncio.gather(
        *[ask(owner, CREATE, options=idempotency_key(), input={"name": "A"}) for _ in range(8)]
    )
    assert len({secret(result) for result in results}) == 1
    assert [result.is_repeated for result in results].count(False) == 1
    assert await count(answer, owner) == 1


async def test_a_duplicate_does_not_wait_for_ever(ask: Ask, owner: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = idempotency_key(timeout_seconds=20.0)
    started = asyncio.Event()

    async def hang(*_: Any) -> None:
        started.set()
        await asyncio.sleep(1.5)

    with monkeypatch.context() as patch:
        patch.setattr(import_module("portal.graphql.engine.execute"), "store_response", hang)
        first = asyncio.ensure_future(ask(owner, CREATE, options=slow, input={"name": "A"}))
        await started.wait()
        duplicate = await ask(owner, CREATE, options=idempotency_key(timeout_seconds=0.1), input={"name": "A"})
    assert codes(duplicate) == ["IN_PROGRESS"]
    assert not (await first).errors


async def test_what_failed_may_run_again(
    ask: Ask, answer: Answer, owner: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("portal.keys.create_key", broken)
        assert codes(await ask(owner, CREATE, options=idempotency_key(), input={"name": "A"})) == ["INTERNAL"]
    assert secret(await ask(owner, CREATE, options=idempotency_key(), input={"name": "A"}))
    assert await count(answer, owner) == 1


@pytest.mark.parametrize("given", [{"name": ""}, {"name": "x" * 101}, {"name": "A", "scopes": ["not a scope"]}])
async def test_a_problem_is_not_kept(ask: Ask, answer: Answer, owner: Actor, given: dict[str, Any]) -> None:
    """Nothing was done, so the corrected request runs under the same key, and so does the same one again."""
    for _ in range(2):
        failed = await ask(owner, CREATE, options=idempotency_key(), input=given)
        assert (failed.is_repeated, failed.data["createKey"]["__typename"]) == (False, "ValidationProblem")  # type: ignore[index]
    made = await ask(owner, CREATE, options=idempotency_key(), input={"name": "A"})
    assert secret(made)
    assert (await ask(owner, CREATE, options=idempotency_key(), input={"name": "A"})).data == made.data
    assert await count(answer, owner) == 1


async def test_what_became_possible_is_done(ask: Ask, owner: Actor, viewer: Actor) -> None:
    """A refusal for want of a permission is no answer for ten minutes."""
    refused = await ask(viewer, CREATE, options=idempotency_key(), input={"name": "A"})
    assert refused.data["createKey"]["__typename"] == "ForbiddenProblem"  # type: ignore[index]
    allowed = replace(viewer, role=Role.OWNER)
    assert secret(await ask(allowed, CREATE, options=idempotency_key(), input={"name": "A"}))


TWO = """
mutation Two($good: CreateKeyInput!, $bad: CreateKeyInput!) {
  __typename
  good: createKey(input: $good) { __typename ... on CreatedKey { secret } }
  bad: createKey(input: $bad) { __typename }
}
"""


async def test_of_several_mutations_one_success_keeps_the_answer(ask: Ask, answer: Answer, owner: Actor) -> None:
    inputs = {"good": {"name": "A"}, "bad": {"name": ""}}
    first = await ask(owner, TWO, options=idempotency_key(), **inputs)
    again = await ask(owner, TWO, options=idempotency_key(), **inputs)
    assert again.is_repeated
    assert again.data == first.data
    assert await count(answer, owner) == 1
    both_bad = {"good": {"name": ""}, "bad": {"name": ""}}
    for _ in range(2):
        assert not (await ask(owner, TWO, options=idempotency_key("order-8"), **both_bad)).is_repeated


async def test_a_duplicate_that_waited_for_a_problem_runs(ask: Ask, answer: Answer, owner: Actor) -> None:
    results = await asyncio.gather(
        *[ask(owner, CREATE, options=idempotency_key(), input={"name": ""}) for _ in range(6)]
    )
    assert not any(result.is_repeated or result.errors for result in results)
    assert await count(answer, owner) == 0


async def test_another_credential_is_another_caller(ask: Ask, answer: Answer, owner: Actor) -> None:
    first = await ask(owner, CREATE, options=idempotency_key(), input={"name": "A"})
    other = await ask(owner, CREATE, options=idempotency_key(credential="pat_other"), input={"name": "A"})
    assert secret(first) != secret(other)
    assert await count(answer, owner) == 2


async def test_another_account_with_the_same_words_is_another_caller(ask: Ask, owner: Actor, stranger: Actor) -> None:
    first = await ask(owner, CREATE, options=idempotency_key(), input={"name": "A"})
    other = await ask(stranger, CREATE, options=idempotency_key(), input={"name": "A"})
    assert not other.is_repeated
    assert secret(first) != secret(other)


@pytest.mark.parametrize("change", [{"role": Role.VIEWER}, {"role": Role.ADMIN}, {"is_staff": True}])
async def test_who_has_another_role_since_gets_no_secret_of_before(
    ask: Ask, answer: Answer, owner: Actor, change: dict[str, Any]
) -> None:
    """Nor does anything run again, for it was done."""
    await ask(owner, CREATE, options=idempotency_key(), input={"name": "A"})
    later = await ask(replace(owner, **change), CREATE, options=idempotency_key(), input={"name": "A"})
    assert codes(later) == ["IDEMPOTENCY_CONFLICT"]
    assert await count(answer, owner) == 1


async def test_a_query_is_never_kept(ask: Ask, owner: Actor, make_key: MakeKey) -> None:
    document = "{ keys { totalCount } }"
    await ask(owner, document, options=idempotency_key())
    await make_key(owner)
    result = await ask(owner, document, options=idempotency_key())
    assert result.data == {"keys": {"totalCount": 1}}


async def test_after_ten_minutes_the_key_is_free(ask: Ask, owner: Actor, database: Database) -> None:
    first = await ask(owner, CREATE, options=idempotency_key(), input={"name": "A"})
    await age(database, owner)
    later = await ask(owner, CREATE, options=idempotency_key(), input={"name": "A"})
    assert not later.is_repeated
    assert secret(later) != secret(first)


async def test_expired_answers_are_forgotten(ask: Ask, owner: Actor, stranger: Actor, database: Database) -> None:
    await ask(owner, CREATE, options=idempotency_key(), input={"name": "A"})
    await ask(stranger, CREATE, options=idempotency_key(), input={"name": "A"})
    await age(database, owner)
    async with database.transaction() as tx:
        assert await purge_responses(tx) >= 1
        left = await tx.list(text("SELECT account_id FROM kept_answers"))
    assert owner.account_id not in left
    assert stranger.account_id in left


async def test_what_is_stored_reveals_nothing(ask: Ask, owner: Actor, database: Database) -> None:
    made = secret(await ask(owner, CREATE, options=idempotency_key("my-name"), input={"name": "A"}))
    statement = text("SELECT name_digest, request_digest, answer FROM kept_answers WHERE account_id = :account")
    async with database.transaction() as tx:
        (row,) = await tx.execute(statement, {"account": owner.account_id})
    kept = b"".join(bytes(column) for column in row)
    for word in (made, made[8:20], "my-name", CREDENTIAL, "createKey"):
        assert word.encode() not in kept


async def age(database: Database, actor: Actor) -> None:
    older = (
        "UPDATE kept_answers SET created_at = created_at - interval '10 minutes 1 second' WHERE account_id = :account"
    )
    async with database.transaction() as tx:
        await tx.execute(text(older), {"account": actor.account_id})
