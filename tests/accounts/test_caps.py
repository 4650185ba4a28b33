"""How many keys, tokens and sessions there may be: told with what to do, exact also when many are made at once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from portal import accounts, keys
from portal.accounts.sessions.sign_in import Credentials, open_session
from portal.core.actor import SYSTEM, Actor
from portal.core.database import Database, Tx
from portal.core.errors import Conflict
from portal.core.settings import Caps
from portal.graphql import Options, execute
from tests.graphql.conftest import CREATE
from tests.throttle import Unlimited

MOST = 3
Make = Callable[[Tx, Actor], Awaitable[Any]]


async def make_key(tx: Tx, actor: Actor) -> str:
    return (await keys.create_key(tx, actor, keys.NewKey("one"), MOST)).key.id


async def make_personal_token(tx: Tx, actor: Actor) -> str:
    return (await accounts.create_personal_token(tx, actor, "script", max_tokens=MOST)).row.id


async def revoke_key(tx: Tx, actor: Actor, made: str) -> None:
    await keys.revoke_key(tx, actor, made)


async def revoke_personal_token(tx: Tx, actor: Actor, made: str) -> None:
    await accounts.revoke_personal_token(tx, actor, made)


@pytest.mark.parametrize(
    ("make", "revoke", "setting"),
    [
        (make_key, revoke_key, "PORTAL_MAX_KEYS"),
        (make_personal_token, revoke_personal_token, "PORTAL_MAX_PERSONAL_TOKENS"),
    ],
)
async def test_of_many_at_once_as_many_are_made_as_there_may_be(
    database: Database, owner: Actor, make: Make, revoke: Callable[[Tx, Actor, str], Awaitable[None]], setting: str
) -> None:
    async def one() -> str:
        async with database.transaction(actor=owner) as tx:
            made: str = await make(tx, owner)
            return made

    outcomes = await asyncio.gather(*[one() for _ in range(8)], return_exceptions=True)
    made = [outcome for outcome in outcomes if isinstance(outcome, str)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert (len(made), len(refused)) == (MOST, 8 - MOST)
    assert setting in str(refused[0])
    async with database.transaction(actor=owner) as tx:
        await revoke(tx, owner, made[0])
    await one()
    with pytest.raises(Conflict, match=r"as many as .* may have"):
        await one()


async def test_service_tokens_too(database: Database) -> None:
    async with database.transaction() as tx:
        present = await accounts.count_service_tokens(tx)
        await accounts.create_service_token(tx, SYSTEM, "gateway", present + 1)
        with pytest.raises(Conflict, match="PORTAL_MAX_SERVICE_TOKENS"):
            await accounts.create_service_token(tx, SYSTEM, "gateway", 1)


async def test_one_session_more_ends_the_one_unused_for_longest(database: Database, owner: Actor) -> None:
    async with database.transaction() as tx:
        person = await accounts.find_person(tx, owner.id)
        assert person is not None
    opened = []
    for _ in range(MOST + 2):
        async with database.transaction() as tx:
            opened.append(await open_session(tx, person, Credentials(person.email, ""), MOST))
    async with database.transaction() as tx:
        assert await accounts.count_sessions(tx, owner.id) == MOST
        valid = [await accounts.authenticate_session(tx, each.token, None) is not None for each in opened]
    assert valid == [False, False, True, True, True]
    credentials = Credentials(person.email, "correct horse battery")
    await accounts.sign_in(database, credentials, Unlimited(), 1)
    async with database.transaction() as tx:
        assert await accounts.count_sessions(tx, owner.id) == 1


async def test_graphql_tells_what_to_do(database: Database, owner: Actor) -> None:
    options = replace(Options(timeout_seconds=30), caps=Caps(1, 1, 1, 1))
    documents = {
        CREATE: {"input": {"name": "one"}},
        'mutation { createPersonalToken(input: {name: "a"}) { __typename ... on Problem { message } } }': {},
    }
    for document, variables in documents.items():
        for typename in ("Created", "ConflictProblem"):
            async with database.transaction() as tx:
                person = await accounts.find_person(tx, owner.id)
            result = await execute(database, owner, person, document, variables, options)
            assert result.data is not None, result.errors
            (outcome,) = result.data.values()
            assert outcome["__typename"].startswith(typename)
    assert "Revoke tokens that nothing uses" in outcome["message"]
