"""Scalars (instants, JSON documents, whole numbers beyond 32 bits) and the enum that several domains share.

Each scalar accepts what it writes and nothing looser.
"""

import math
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

BigInt = NewType("BigInt", int)
Json = NewType("Json", object)
MAX_BIG_INT = 2**53 - 1
MAX_JSON_DEPTH = 20
MAX_JSON_NUMBER = 2**63 - 1


def _parse_instant(value: Any) -> datetime:
    try:
        instant = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise GraphQLError("A DateTime is written like 2026-11-22T00:00:00Z.") from None
    if instant.tzinfo is None:
        raise GraphQLError("A DateTime says its offset, like 2026-11-22T00:00:00Z or 2026-11-22T00:00:00+01:00.")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise GraphQLError("This DateTime is outside the years 1 to 9999.") from None


def _write_instant(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _parse_big_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_BIG_INT:
        raise GraphQLError("A BigInt is a whole number of at most 53 bits.")
    return value


def _parse_json(value: Any) -> Any:
    _check_json(value, MAX_JSON_DEPTH)
    return value


def _check_json(value: Any, depth: int) -> None:
    """Refuse what JSON cannot say, or jsonb or a policy on its way to Redis (MessagePack) cannot hold.

    jsonb writes a large float out in digits, so that it comes back as a whole number.
    """
    if depth == 0:
        raise GraphQLError(f"JSON is nested at most {MAX_JSON_DEPTH} levels deep.")
    if isinstance(value, float) and not math.isfinite(value):
        raise GraphQLError("JSON has no infinite numbers.")
    if isinstance(value, int | float) and abs(value) > MAX_JSON_NUMBER:
        raise GraphQLError("JSON numbers have at most 64 bits here.")
    if isinstance(value, str) and "\x00" in value:
        raise GraphQLError("JSON text must not contain U+0000.")
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_json(key, depth)
            _check_json(inner, depth - 1)
    elif isinstance(value, list):
        for inner in value:
            _check_json(inner, depth - 1)


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="An instant as ISO 8601 with its offset. Answers are in UTC, like 2026-11-22T09:30:00Z.",
        serialize=_write_instant,
        parse_value=_parse_instant,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="A whole number of at most 53 bits, as a JSON number.",
        serialize=int,
        parse_value=_parse_big_int,
    ),
    Json: strawberry.scalar(
        name="JSON",
        description="Any JSON value.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=lambda value: value,
        parse_value=_parse_json,
    ),
}


def value(text: str, description: str) -> str:
    """Return an enum member with a description; its Python value is `text`."""
    member: str = strawberry.enum_value(text, description=description)  # type: ignore[assignment]  # the enum decorator puts the text in its place
    return member


@strawberry.enum(description="The environment that a key is for.")
class Environment(Enum):
    LIVE = value("live", "Production traffic. Units are billed.")
    TEST = value("test", "Test traffic. Units are counted, never billed.")
