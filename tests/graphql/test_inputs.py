"""Every input of every mutation given null and other shapes, made from the schema: a problem with its path, never ours.

Three ways: written in the document, as a variable, and as a variable within what is written.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    build_schema,
    get_nullable_type,
    is_list_type,
    is_non_null_type,
)

from portal.core.actor import Actor
from portal.graphql import Result, sdl
from tests.graphql.conftest import Ask, MakeKey, codes

SCHEMA = build_schema(sdl())
MUTATIONS = SCHEMA.mutation_type.fields if SCHEMA.mutation_type else {}
LIBRARY = re.compile(
    r"0x[0-9a-f]{6,}|strawberry|Maybe|<class|NoneType|Traceback|graphql\.|site-packages", re.IGNORECASE
)
SAMPLES: dict[str, Any] = {
    "String": "sample",
    "Int": 60,
    "BigInt": 1000,
    "DateTime": "2099-01-01T00:00:00Z",
    "JSON": {"a": 1},
    "Boolean": True,
}
SHAPES: list[Any] = [0, -1, 2**40, 1.5, True, "", "x", "\u0000", [], ["x"], [None], [[1]], {}, {"x": 1}, {"x": None}]
NOT_CLEARED = {"name", "scopes", "allowedIps", "limits"}


@dataclass(frozen=True)
class Place:
    """An input of a mutation: the names that lead to it, and its type."""

    mutation: str
    path: tuple[str, ...]
    type: GraphQLInputType


def places_below(mutation: str, path: tuple[str, ...], kind: GraphQLInputType) -> Iterator[Place]:
    yield Place(mutation, path, kind)
    inner = get_nullable_type(kind)
    if isinstance(inner, GraphQLInputObjectType):
        for name, field in inner.fields.items():
            yield from places_below(mutation, (*path, name), field.type)


def all_places() -> list[Place]:
    return [
        place
        for name, field in MUTATIONS.items()
        for argument_name, argument in field.args.items()
        for place in places_below(name, (argument_name,), argument.type)
    ]


PLACES = all_places()
NULLABLE = [place for place in PLACES if not is_non_null_type(place.type)]


def sample(kind: GraphQLInputType, key_id: str) -> Any:
    inner = get_nullable_type(kind)
    if is_list_type(inner):
        return []
    if isinstance(inner, GraphQLEnumType):
        return next(iter(inner.values))
    if isinstance(inner, GraphQLInputObjectType):
        return {
            name: sample(field.type, key_id) for name, field in inner.fields.items() if is_non_null_type(field.type)
        }
    return key_id if str(inner) == "ID" else SAMPLES[str(inner)]


def arguments(field: GraphQLField, key_id: str) -> dict[str, Any]:
    return {name: sample(argument.type, key_id) for name, argument in field.args.items()}


def replaced(values: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    name, *rest = path
    return values | {name: replaced(values[name], tuple(rest), value) if rest else value}


class Written(str):
    """Text that stands in a document as it is."""


def literal(value: Any, kind: GraphQLInputType | None = None) -> str:
    if isinstance(value, Written):
        return value
    inner = get_nullable_type(kind) if kind is not None else None
    if isinstance(value, dict):
        fields = inner.fields if isinstance(inner, GraphQLInputObjectType) else {}
        members = (
            f"{name}: {literal(item, fields[name].type if name in fields else None)}" for name, item in value.items()
        )
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    return str(value) if isinstance(inner, GraphQLEnumType) and isinstance(value, str) else json.dumps(value)


def operation(mutation: str, values: dict[str, Any], declared: str = "") -> str:
    types = {name: argument.type for name, argument in MUTATIONS[mutation].args.items()}
    given = ", ".join(f"{name}: {literal(value, types[name])}" for name, value in values.items())
    selection = "{ __typename ... on Problem { code message path } }"
    return f"mutation M{declared} {{ {mutation}{f'({given})' if given else ''} {selection} }}"


async def three_ways(ask: Ask, actor: Actor, place: Place, key_id: str, value: Any) -> list[Result]:
    """Give the input a value in each way."""
    mutation, path = place.mutation, place.path
    values = arguments(MUTATIONS[mutation], key_id)
    types = {name: argument.type for name, argument in MUTATIONS[mutation].args.items()}
    given = replaced(values, path, value)
    declared = ", ".join(f"${name}: {kind}" for name, kind in types.items())
    passed = operation(mutation, {name: Written(f"${name}") for name in types}, f"({declared})")
    inner = operation(mutation, replaced(values, path, Written("$it")), f"($it: {place.type})")
    return [
        await ask(actor, operation(mutation, given)),
        await ask(actor, passed, **given),
        await ask(actor, inner, it=value),
    ]


def told(result: Result) -> str:
    return json.dumps(result.to_json(), ensure_ascii=False)


async def test_null_is_taken_or_a_problem_at_its_path_wherever_the_schema_allows_it(
    ask: Ask, owner: Actor, make_key: MakeKey
) -> None:
    assert len(NULLABLE) >= 10
    for place in NULLABLE:
        key_id = (await make_key(owner))["key"]["id"]
        for result in await three_ways(ask, owner, place, key_id, None):
            assert not result.errors, (place, result.errors)
            assert not LIBRARY.search(told(result)), (place, told(result))
            assert result.data is not None
            outcome = result.data[place.mutation]
            if place.mutation == "updateKey":
                is_refused = place.path[-1] in NOT_CLEARED
                assert (outcome["__typename"] == "ValidationProblem") is is_refused, (place, outcome)
                assert outcome.get("path", []) == ([place.path[-1]] if is_refused else [])


@pytest.mark.parametrize("mutation", sorted(MUTATIONS))
async def test_no_shape_of_any_input_reaches_code_of_ours_or_a_text_of_a_library(
    ask: Ask, owner: Actor, make_key: MakeKey, mutation: str
) -> None:
    key_id = (await make_key(owner))["key"]["id"]
    for place in PLACES:
        if place.mutation == mutation:
            for shape in (None, *SHAPES):
                for result in await three_ways(ask, owner, place, key_id, shape):
                    assert not {"INTERNAL", "UNAVAILABLE"} & {*codes(result)}, (place, shape, result.errors)
                    assert not LIBRARY.search(told(result)), (place, shape, told(result))
        await asyncio.sleep(0)
