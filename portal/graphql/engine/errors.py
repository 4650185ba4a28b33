"""What of an error a caller sees.

Expected failures of mutations are data: types that implement Problem, beside the success in a union. Errors of a
request are shown as they are where they were expected; the rest are masked with the request id, and logged.
"""

from collections.abc import Sequence
from typing import Any

import strawberry
from graphql import GraphQLError
from sqlalchemy.exc import DBAPIError
from strawberry.exceptions import StrawberryGraphQLError
from strawberry.extensions.field_extension import AsyncExtensionResolver, FieldExtension
from strawberry.types.union import StrawberryUnion

from portal.core.errors import Conflict, Forbidden, Invalid, NotFound, PortalError, Unavailable
from portal.core.logs import get_log
from portal.core.outages.database_errors import is_dependency_unavailable, sqlstate_of
from portal.core.outages.rate_limited_log import RateLimitedLog
from portal.graphql.engine.operation import GraphQLContext

INTERNAL = "INTERNAL"
ABORTED = "ABORTED"
AFTER_AN_ERROR = "25P02"
"""How PostgreSQL refuses a statement after the one that failed, which has an entry of its own."""
_log = get_log("portal.graphql")
_limited_log = RateLimitedLog("portal.graphql")


def shown_errors(errors: Sequence[GraphQLError], request_id: str) -> list[GraphQLError]:
    """Return the same errors, fit for the caller. A PortalError stays reachable as `original_error`."""
    return [_shown(error, request_id) for error in errors]


def request_error(code: str, message: str, hint: str | None = None) -> GraphQLError:
    """Return an error that keeps the operation from starting."""
    return GraphQLError(message, extensions=_extensions(code, hint))


def error_code(error: GraphQLError) -> str | None:
    return (error.extensions or {}).get("code")


def _shown(error: GraphQLError, request_id: str) -> GraphQLError:
    cause = error.original_error
    if isinstance(cause, DBAPIError) and sqlstate_of(cause) == AFTER_AN_ERROR:
        return _located(error, "Not done, since another part failed.", {"code": ABORTED}, None)
    if cause is not None and not isinstance(cause, PortalError) and is_dependency_unavailable(cause):
        _limited_log.warning("graphql_unavailable", request_id=request_id, error=repr(cause))
        cause = Unavailable("The database does not answer.", hint="Try again in a moment.")
    if isinstance(cause, PortalError):
        return _located(error, cause.message, _extensions(cause.code, cause.hint, cause.path), cause)
    if (cause is None or isinstance(cause, GraphQLError)) and not isinstance(cause or error, StrawberryGraphQLError):
        return error if error_code(error) else _located(error, error.message, _extensions("BAD_REQUEST"), None)
    _log.error("graphql_error", request_id=request_id, path=error.path, exc_info=cause)
    text = f"Something went wrong on our side. Quote request id {request_id}."
    return _located(error, text, {"code": INTERNAL, "requestId": request_id}, None)


def _located(error: GraphQLError, message: str, extensions: dict[str, Any], cause: PortalError | None) -> GraphQLError:
    return GraphQLError(message, error.nodes, path=error.path, original_error=cause, extensions=extensions)


def _extensions(code: str, hint: str | None = None, path: Sequence[str] = ()) -> dict[str, Any]:
    return {"code": code} | ({"hint": hint} if hint else {}) | ({"path": [*path]} if path else {})


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
