"""What a page's document asks of PostgreSQL: a bounded number of statements, however much there is to show."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLNonNull,
    GraphQLType,
    OperationDefinitionNode,
    get_named_type,
    get_operation_ast,
    is_list_type,
    parse,
    type_from_ast,
)
from sqlalchemy import event

from portal.accounts import NewMember, add_member, create_personal_token, find_person
from portal.core.actor import Actor, Role
from portal.core.clock import utc_now
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.ids import new_id
from portal.graphql import execute, schema
from portal.keys import NewKey, create_key, revoke_key
from tests.conftest import MakeAccount
from web.pages.framework.templates import FOLDER

DOCUMENTS = sorted(FOLDER.rglob("*.graphql"))
FEW, MANY = 4, 40
MAX_STATEMENTS = {"overview/page": 20, "plan/page": 24, "usage/usage_page": 30}
"""Beginning and committing the transaction included; every other document has the number below."""
MAX_OTHERS = 18
SAMPLES: dict[str, Any] = {
    "timeZone": "Europe/Berlin",
    "first": 100,
    "search": None,
    "after": None,
    "groupBy": "KEY",
    "status": None,
    "environment": None,
    "filter": {},
    "overlapSeconds": 3600,
    "granularity": "DAY",
}


@pytest.fixture(scope="module")
async def counted(services: EmbeddedServices, database: Database) -> AsyncIterator[Database]:
    """`database` is asked for because it migrates."""
    counted = Database(services.database_url)
    yield counted
    await counted.close()


@pytest.fixture(scope="module")
async def accounts(make_account: MakeAccount) -> tuple[Actor, Actor]:
    """One with few keys, one with many; of staff, since some documents are for them."""
    return replace(await make_account(), is_staff=True), replace(await make_account(), is_staff=True)


@contextmanager
def statements_of(database: Database) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(FOLDER).with_suffix("").as_posix())
async def test_a_document_sends_few_statements(counted: Database, accounts: tuple[Actor, Actor], path: Path) -> None:
    name = path.relative_to(FOLDER).with_suffix("").as_posix()
    text = path.read_text()  # noqa: ASYNC240  # a small file of our own
    few = await count(counted, accounts[0], FEW, text)
    many = await count(counted, accounts[1], MANY, text)
    assert many == few, "it sends a statement for each row"
    assert many <= MAX_STATEMENTS.get(name, MAX_OTHERS)


async def count(database: Database, actor: Actor, keys: int, text: str) -> int:
    key_id = await furnish(database, actor, keys)
    async with database.transaction() as tx:
        person = await find_person(tx, actor.id)
    operation = get_operation_ast(parse(text))
    assert operation is not None
    variables = sample(operation, key_id)
    with statements_of(database) as seen:
        result = await execute(database, actor, person, text, variables)
    assert not result.errors, (result.errors, "give the new variables a sample above")
    return len(seen)


async def furnish(database: Database, actor: Actor, more: int) -> str:
    """So many keys, members and tokens more; returns a key's id."""
    made = []
    async with database.transaction() as tx:
        for number in range(more):
            made.append((await create_key(tx, actor, NewKey(f"Key {number}"))).key.id)
            if number % 2:
                await add_member(tx, actor, NewMember(f"{new_id('m').lower()}@example.com", "Ben", Role.VIEWER))
                await create_personal_token(tx, actor, f"Token {number}")
        await revoke_key(tx, actor, made[-1], "Lost")
    return made[0]


def sample(operation: OperationDefinitionNode, key_id: str) -> dict[str, Any]:
    """A value for each variable: by its name where one is known, else by its type."""
    given: dict[str, Any] = {}
    for node in operation.variable_definitions or ():
        name = node.variable.name.value
        kind = type_from_ast(schema.graphql_schema, node.type)
        assert kind is not None
        given[name] = SAMPLES[name] if name in SAMPLES else by_type(kind, name, key_id)
    return given


def by_type(kind: GraphQLType, name: str, key_id: str) -> Any:
    named = get_named_type(kind)
    if is_list_type(getattr(kind, "of_type", kind)):
        return []
    if isinstance(named, GraphQLEnumType):
        return next(iter(named.values))
    if isinstance(named, GraphQLInputObjectType):
        required = {key: field for key, field in named.fields.items() if isinstance(field.type, GraphQLNonNull)}
        plain = {key: field for key, field in required.items() if key == "id" or field.default_value is None}
        return {key: by_type(field.type, key, key_id) for key, field in plain.items()} | {
            key: "Renamed" for key in named.fields if key == "name"
        }
    at = utc_now() - timedelta(days={"before": 60, "from": 30, "to": 0}.get(name, 0))
    values = {"ID": key_id, "DateTime": at.isoformat(), "Int": 10, "BigInt": 10, "Boolean": True, "JSON": {}}
    return values.get(named.name if named else "", "Renamed")
