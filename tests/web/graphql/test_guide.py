"""The guide's own queries run, and the typed client's types compile."""

import asyncio
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from graphql import OperationType, get_operation_ast, parse, validate

from portal.accounts import find_person
from portal.core.actor import Actor
from portal.core.database import Database
from portal.graphql import execute, schema
from portal.graphql.engine.cost import MAX_COST

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "guides" / "graphql.md").read_text()
QUERIES = re.findall(r"^```graphql\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
CLIENT = ROOT / "docs" / "guides" / "typescript"
VARIABLES: dict[str, Any] = {
    "from": "2026-11-01T00:00:00Z",
    "to": "2026-11-08T00:00:00Z",
    "input": {"name": "Search", "scopes": ["search:read"]},
}


@pytest.mark.parametrize("text", QUERIES, ids=lambda text: text.split()[1].partition("(")[0])
async def test_a_query_of_the_guide_runs(database: Database, owner: Actor, text: str) -> None:
    document = parse(text)
    assert not validate(schema.graphql_schema, document)
    operation = get_operation_ast(document)
    assert operation is not None
    if operation.operation is OperationType.SUBSCRIPTION:
        return  # they run in tests/web/live
    async with database.transaction() as tx:
        person = await find_person(tx, owner.id)
    names = {node.variable.name.value for node in operation.variable_definitions or ()}
    given = {name: VARIABLES[name] for name in names & VARIABLES.keys()}
    result = await execute(database, owner, person, text, given)
    assert not result.errors
    assert "code" not in json.dumps(result.data)


def test_the_guide_has_queries_mutations_and_subscriptions() -> None:
    assert {text.split()[0] for text in QUERIES} == {"query", "mutation", "subscription"}


def test_the_guide_states_the_actual_bounds() -> None:
    assert f"One operation may cost {MAX_COST:,}" in GUIDE


@pytest.mark.skipif(shutil.which("npm") is None and not os.environ.get("CI"), reason="node generates the types")
async def test_the_typed_client_compiles() -> None:
    if not (CLIENT / "node_modules" / "typescript").exists():
        await run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    await run("npm", "run", "generate")
    await run("npm", "run", "check")


async def run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=CLIENT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    told, _ = await asyncio.wait_for(process.communicate(), 600)
    assert process.returncode == 0, told.decode()
