"""Expected failures of mutations are data: types that implement Problem, beside the success in a union."""

from typing import Any

import strawberry
from strawberry.extensions.field_extension import AsyncExtensionResolver, FieldExtension
from strawberry.types.union import StrawberryUnion

from portal.core.errors import Conflict, Forbidden, Invalid, NotFound, PortalError
from portal.graphql.engine.context import GraphQLContext


@strawberry.interface(description="Why a mutation failed. Nothing was changed.")
class Problem:
    code: str = strawberry.field(description="Stable code for programs: INVALID, NOT_FOUND, …")
    message: str = strawberry.field(description="What happened and what to do about it, for people.")
    path: list[str] = strawberry.field(description="Path of the input that caused it; empty if none did.")


@strawberry.type(description="An input is invalid. `path` names it.")
class ValidationProblem(Problem):
    pass


@strawberry.type(description="The account has no such object.")
class NotFoundProblem(Problem):
    pass


@strawberry.type(description="The caller's role does not allow this.")
class ForbiddenProblem(Problem):
    pass


@strawberry.type(description="The state of the object does not allow this.")
class ConflictProblem(Problem):
    pass


_TYPES: dict[type[PortalError], type[Problem]] = {
    Invalid: ValidationProblem,
    NotFound: NotFoundProblem,
    Forbidden: ForbiddenProblem,
    Conflict: ConflictProblem,
}


def problem_of(error: PortalError) -> Problem | None:
    """Return the error as data, or None for one that is not the mutation's own (not signed in, database away)."""
    kind = _TYPES.get(type(error))
    return None if kind is None else kind(code=error.code, message=str(error), path=[*error.path])


class ProblemsAsData(FieldExtension):
    """Runs a mutation in a savepoint, so that a problem undoes this one alone, and answers the problem."""

    async def resolve_async(self, next_: AsyncExtensionResolver, source: Any, info: Any, **kwargs: Any) -> Any:
        context: GraphQLContext = info.context
        try:
            async with context.tx.savepoint():
                return await next_(source, info, **kwargs)
        except PortalError as error:
            problem = problem_of(error)
            if problem is None or not _may_answer(info.return_type, problem):
                raise
            context.problem_count += 1
            return problem


def _may_answer(union: Any, problem: Problem) -> bool:
    """Return whether the mutation's union has this problem; otherwise it becomes an error of the request."""
    return isinstance(union, StrawberryUnion) and type(problem) in union.types
