"""The decorators of fields: what a field is, and which permission it requires, said once at the field.

Strawberry's own decorators leave the methods under them untyped for mypy; these do not.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from functools import wraps
from inspect import isasyncgenfunction, signature
from typing import Any, TypeVar

import strawberry
from strawberry.types.field import StrawberryField

from portal.core.actor import Permission, register_requirement, requirement_of
from portal.graphql.engine.errors import ProblemsAsData
from portal.graphql.engine.operation import GraphQLContext

Resolver = TypeVar("Resolver", bound=Callable[..., Any])
AnyVerb = Callable[..., Coroutine[Any, Any, Any]]


def resolver(description: str, finder: AnyVerb | None = None) -> Callable[[Callable[..., Any]], StrawberryField]:
    """Make a field of a method. `@requires` below it puts a check in front and a line into the description.

    A field that only calls `finder` leaves the check to it and repeats its requirement.
    """

    def decorate(method: Callable[..., Any]) -> StrawberryField:
        permission = requirement_of(finder or method)
        if permission is not None:
            register_requirement(method, permission)
        text = _with_requirement(description, permission)
        field: StrawberryField = strawberry.field(description=text)(method)
        return field

    return decorate


def subscription(description: str) -> Callable[[Callable[..., Any]], StrawberryField]:
    """Make a field that yields events until its subscriber leaves. `@requires` works as for `resolver`."""

    def decorate(method: Callable[..., Any]) -> StrawberryField:
        text = _with_requirement(description, requirement_of(method))
        field: StrawberryField = strawberry.subscription(description=text)(method)
        return field

    return decorate


def mutation(description: str, verb: AnyVerb) -> Callable[[Callable[..., Any]], StrawberryField]:
    """Make a field that calls `verb` in a savepoint of its own and answers its problems as data.

    The verb checks what it requires; the field repeats it in its description. Raises TypeError for a verb that requires
    nothing.
    """
    permission = requirement_of(verb)
    if permission is None:
        raise TypeError(f"{verb.__name__} has no @requires")

    def decorate(method: Callable[..., Any]) -> StrawberryField:
        text = _with_requirement(description, permission)
        register_requirement(method, permission)
        field: StrawberryField = strawberry.mutation(description=text, extensions=[ProblemsAsData()])(method)
        return field

    return decorate


def requires(permission: Permission) -> Callable[[Resolver], Resolver]:
    """Let a function with a parameter `info` run only for a caller with the permission, like `requires` of a verb.

    Such a function raises Unauthenticated or Forbidden before it reads anything.
    """

    def decorate(function: Resolver) -> Resolver:
        position = [*signature(function).parameters].index("info")

        def check(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            context: GraphQLContext = (kwargs["info"] if "info" in kwargs else args[position]).context
            context.actor.require(permission)

        if isasyncgenfunction(function):

            @wraps(function)
            async def checked_events(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
                check(args, kwargs)
                async with aclosing(function(*args, **kwargs)) as events:
                    async for event in events:
                        yield event

            return register_requirement(checked_events, permission)  # type: ignore[return-value]  # the same signature

        @wraps(function)
        async def checked(*args: Any, **kwargs: Any) -> Any:
            check(args, kwargs)
            return await function(*args, **kwargs)

        return register_requirement(checked, permission)  # type: ignore[return-value]  # the same signature

    return decorate


def _with_requirement(description: str, permission: Permission | None) -> str:
    return description if permission is None else f"{description} Requires `{permission.value}`."
