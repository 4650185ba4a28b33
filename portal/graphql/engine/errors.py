"""What of an error a caller sees: expected ones as they are, the rest masked with the request id and logged."""

from collections.abc import Sequence
from typing import Any

from graphql import GraphQLError
from sqlalchemy.exc import DBAPIError
from strawberry.exceptions import StrawberryGraphQLError

from portal.core.errors import PortalError, Unavailable
from portal.core.logs import get_log
from portal.core.outages.database_errors import is_dependency_unavailable, sqlstate_of
from portal.core.outages.rate_limited_log import RateLimitedLog

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
