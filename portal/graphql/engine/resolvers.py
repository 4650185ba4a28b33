"""The decorators of resolvers, typed: Strawberry's own leave the methods under them untyped for mypy."""

from collections.abc import Callable
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

from portal.graphql.engine.problems import ProblemsAsData

Resolver = Callable[..., Any]


def resolver(description: str) -> Callable[[Resolver], StrawberryField]:
    """A field that is worked out when it is asked for."""
    field: Callable[[Resolver], StrawberryField] = strawberry.field(description=description)
    return field


def mutation(description: str) -> Callable[[Resolver], StrawberryField]:
    """A field that changes something, in a savepoint of its own, and answers its problems as data."""
    field: Callable[[Resolver], StrawberryField] = strawberry.mutation(
        description=description, extensions=[ProblemsAsData()]
    )
    return field


def subscription(description: str) -> Callable[[Resolver], StrawberryField]:
    """A field that goes on telling until its subscriber leaves."""
    field: Callable[[Resolver], StrawberryField] = strawberry.subscription(description=description)
    return field
