"""A page's own GraphQL document: run in this process by the rules that hold for any caller, and shown to the reader.

"Show the query" under each page gives the document, its variables and a command that does the same.
"""

import json
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from graphql import strip_ignored_characters
from starlette.requests import Request

from portal.core.errors import PortalError
from portal.graphql import Options, RunOnce, error_code, execute
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
    """Return the text of web/pages/NAME.graphql."""
    return (FOLDER / f"{name}.graphql").read_text()


@cache
def compact_document(name: str) -> str:
    """Return the document without the characters that GraphQL ignores."""
    return strip_ignored_characters(document(name))


async def run_document(
    request: Request, name: str, variables: dict[str, Any], once: RunOnce | None = None
) -> dict[str, Any]:
    """Return the answer's data. Raises the PortalError behind the first error, PageTooSlow, or PageQueryFailed."""
    visitor = await require_visitor(request)
    services = services_of(request)
    options = Options(
        key_prefix=services.settings.key_prefix,
        request_id=request.state.request_id,
        limiter=services.limiter,
        caps=services.settings.caps,
        once=once,
    )
    result = await execute(services.database, visitor.actor, visitor.person, document(name), variables, options)
    for error in result.errors:
        if isinstance(error.original_error, PortalError):
            raise error.original_error
        if error_code(error) == TIMEOUT:
            raise PageTooSlow(f"{name}: {error.message}")
        raise PageQueryFailed(f"{name}: {error.message}")
    return result.data or {}


@dataclass(frozen=True, slots=True)
class ShownQuery:
    """What stands under a page: its document, variables and a curl command."""

    document: str
    variables: str
    curl: str


def shown_query(request: Request, name: str, variables: dict[str, Any]) -> ShownQuery:
    """Return what feeds the page `name`."""
    body = {"query": compact_document(name)} | ({"variables": variables} if variables else {})
    curl = (
        f"curl {shlex.quote(services_of(request).settings.base_url + '/graphql')} \\\n"
        '  -H "Authorization: Bearer $PORTAL_TOKEN" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  --data {shlex.quote(json.dumps(body, ensure_ascii=False))}"
    )
    return ShownQuery(document(name).strip(), json.dumps(variables, ensure_ascii=False, indent=2), curl)
