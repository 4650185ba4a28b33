"""Run a page's own GraphQL document in this process: the same schema and the same rules as for any outside caller."""

from functools import cache
from pathlib import Path
from typing import Any

from graphql import strip_ignored_characters
from starlette.requests import Request

from portal.core.errors import PortalError
from portal.graphql import Options, error_code, execute
from web.auth.session import require_visitor
from web.services import services_of

TIMEOUT = "TIMEOUT"
FOLDER = Path(__file__).parents[1]


class PageQueryFailed(Exception):
    """The schema answered a page's document with an error that is not the visitor's."""


class PageTooSlow(Exception):
    """The page's document was stopped at its time limit."""


@cache
def document(name: str) -> str:
    """The text of web/pages/NAME.graphql."""
    return (FOLDER / f"{name}.graphql").read_text()


@cache
def compact_document(name: str) -> str:
    return strip_ignored_characters(document(name))


async def run_document(request: Request, name: str, variables: dict[str, Any]) -> dict[str, Any]:
    """The answer's data. Raises the PortalError behind the first error, PageTooSlow, or PageQueryFailed."""
    visitor = await require_visitor(request)
    services = services_of(request)
    options = Options(
        key_prefix=services.settings.key_prefix, request_id=request.state.request_id, limiter=services.limiter
    )
    result = await execute(services.database, visitor.actor, visitor.person, document(name), variables, options)
    for error in result.errors:
        if isinstance(error.original_error, PortalError):
            raise error.original_error
        if error_code(error) == TIMEOUT:
            raise PageTooSlow(f"{name}: {error.message}")
        raise PageQueryFailed(f"{name}: {error.message}")
    return result.data or {}
