"""Ask the schema in-process, as anybody."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from portal.accounts import find_person
from portal.core.actor import ANONYMOUS, Actor
from portal.core.database import Database
from portal.graphql import Options, Result, execute

Ask = Callable[..., Awaitable[Result]]
Answer = Callable[..., Awaitable[dict[str, Any]]]
MakeKey = Callable[..., Awaitable[dict[str, Any]]]

PATIENT = Options(timeout_seconds=30)
"""A busy machine fails no test that is about something else."""

CREATE = """
mutation Create($input: CreateKeyInput!) {
  createKey(input: $input) {
    __typename
    ... on CreatedKey { secret key { id name environment status maskedSecret scopes allowedIps metadata expiresAt } }
    ... on Problem { code message path }
  }
}
"""


@pytest.fixture(scope="session")
def ask(database: Database) -> Ask:
    """`await ask(actor, document, **variables)`: the whole result; nobody by default."""

    async def ask(actor: Actor | None, document: str, *, options: Options | None = None, **variables: Any) -> Result:
        options = options or PATIENT
        if actor is None:
            return await execute(database, ANONYMOUS, None, document, variables, options)
        async with database.transaction() as tx:
            person = await find_person(tx, actor.id)
        return await execute(database, actor, person, document, variables, options)

    return ask


@pytest.fixture(scope="session")
def answer(ask: Ask) -> Answer:
    """`await answer(actor, document, **variables)`: the data of an answer without errors."""

    async def answer(actor: Actor, document: str, **variables: Any) -> dict[str, Any]:
        result = await ask(actor, document, **variables)
        assert not result.errors, result.errors
        assert result.data is not None
        return result.data

    return answer


@pytest.fixture(scope="session")
def make_key(answer: Answer) -> MakeKey:
    """`await make_key(actor, name="…")`: {"secret": …, "key": {"id": …}}."""

    async def make_key(actor: Actor, **fields: Any) -> dict[str, Any]:
        data = await answer(actor, CREATE, input={"name": "Search"} | fields)
        created: dict[str, Any] = data["createKey"]
        assert created["__typename"] == "CreatedKey", created
        return created

    return make_key


def codes(result: Result) -> list[Any]:
    return [(error.extensions or {}).get("code") for error in result.errors]
