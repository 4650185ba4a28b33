"""The committed contract is the code's, and says what everything means."""

import re
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    is_introspection_type,
    is_specified_scalar_type,
    parse,
    validate,
)

from portal.graphql import sdl

COMMITTED = Path(__file__).parents[2] / "schema.graphql"


def test_the_committed_schema_is_the_codes() -> None:
    assert COMMITTED.read_text() == sdl(), "run `portal schema > schema.graphql` and read what changed"


def test_everything_is_described() -> None:
    assert not list(undescribed(build_schema(sdl())))


def test_every_mutation_answers_a_success_or_problems() -> None:
    schema = build_schema(sdl())
    assert schema.mutation_type is not None
    for name, field in schema.mutation_type.fields.items():
        union: Any = field.type.of_type
        assert union.name == name[0].upper() + name[1:] + "Result"
        problems = [kind for kind in union.types if [each.name for each in kind.interfaces] == ["Problem"]]
        assert len(union.types) - len(problems) == 1


def undescribed(schema: GraphQLSchema) -> list[str]:
    found: list[str] = []
    for kind in schema.type_map.values():
        if is_introspection_type(kind) or is_specified_scalar_type(kind):
            continue
        found += [] if kind.description else [kind.name]
        if isinstance(kind, GraphQLEnumType):
            found += [f"{kind.name}.{name}" for name, value in kind.values.items() if not value.description]
        elif isinstance(kind, GraphQLInputObjectType | GraphQLObjectType | GraphQLInterfaceType):
            for name, field in kind.fields.items():
                arguments: dict[str, Any] = getattr(field, "args", {})
                found += [] if field.description else [f"{kind.name}.{name}"]
                found += [f"{kind.name}.{name}({each})" for each, a in arguments.items() if not a.description]
    return found


GUIDES = Path(__file__).parents[2] / "docs" / "guides"


@pytest.mark.parametrize("page", sorted(GUIDES.glob("*.md")), ids=lambda page: page.stem)
def test_every_document_of_a_guide_is_valid(page: Path) -> None:
    for document in re.findall(r"```graphql\n(.+?)```", page.read_text(), re.DOTALL):
        assert not validate(build_schema(sdl()), parse(document))
