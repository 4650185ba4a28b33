"""A page is a document and a template: the document is run in this process by the rules that hold for any caller.

"Show the query" under each page gives its document, the variables and a command that does the same.
"""

import json
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlencode, urlsplit

from graphql import strip_ignored_characters
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from portal.core.clock import utc_now
from portal.core.errors import Invalid, PortalError
from portal.graphql import Options, RunOnce, error_code, execute
from portal.keys import mask_secrets
from web.auth.identity import Visitor
from web.auth.session import require_visitor
from web.pages.framework.form import FORM_NUMBER, Form
from web.pages.framework.notes import take_note
from web.pages.framework.templates import render
from web.services import services_of

AFTER = "after"
TIMEOUT = "TIMEOUT"
FOLDER = Path(__file__).parents[1]
Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One request for a page, and the form that came with it."""

    request: Request
    visitor: Visitor
    now: datetime
    form: Form | None = None

    @property
    def zone(self) -> str:
        """The time zone of the visitor's account."""
        return self.visitor.account.time_zone_at(self.now)

    def query(self, name: str) -> str:
        """Return a parameter of the address, empty where it is missing."""
        return self.request.query_params.get(name, "").strip()


def no_variables(page_request: PageRequest) -> Data:
    """Return nothing, for a document without variables."""
    return {}


def _first_page(request: Request) -> str:
    """Return the address without the place in the list, which is none: a mistyped or shortened link."""
    rest = [(name, text) for name, text in request.query_params.multi_items() if name != AFTER]
    return f"{request.url.path}?{urlencode(rest)}" if rest else request.url.path


async def without_secrets(page_request: PageRequest) -> Response | None:
    """Lead from an address with a secret in it to the same one with the secret masked."""
    return lead_from_secret(page_request.request)


def lead_from_secret(request: Request) -> Response | None:
    """Return the redirect to the masked address, None where there is no secret in it; also without a session."""
    parameters = request.query_params.multi_items()
    masked = [(name, mask_secrets(text, is_guessing=False)) for name, text in parameters]
    return None if masked == parameters else RedirectResponse(f"{request.url.path}?{urlencode(masked)}", 303)


def back_address(request: Request, path: str) -> str:
    """Return the list that the reader came from, with its filters; the plain one where the browser does not say."""
    came_from = urlsplit(request.headers.get("Referer", ""))
    is_ours = came_from.netloc == request.url.netloc and came_from.path == path
    return f"{path}?{came_from.query}" if is_ours and came_from.query else path


def no_context(page_request: PageRequest, data: Data) -> Data:
    """Return nothing, for a template that shows its document's data as it is."""
    return {}


@dataclass(frozen=True, slots=True)
class Page:
    """`name` keys/key_list means web/pages/keys/key_list.graphql and .html. `view` adds to the document's data.

    `reroute` may answer instead of the page, for an address that should be another.
    """

    path: str
    name: str
    variables: Callable[[PageRequest], Data] = no_variables
    view: Callable[[PageRequest, Data], Data] = no_context
    reroute: Callable[[PageRequest], Awaitable[Response | None]] = without_secrets

    def route(self) -> Route:
        """Return the route that shows this page."""

        async def get(request: Request) -> Response:
            visitor = await require_visitor(request)
            page_request = PageRequest(request, visitor, utc_now())
            other = await self.reroute(page_request)
            if other is not None:
                return other
            note = await take_note(request, visitor)
            if "form" in note:
                page_request = replace(page_request, form=Form(note["form"]))
            more = {"done": note.get("message"), "is_restored": "form" in note}
            try:
                return await render_page(page_request, self, more=more)
            except Invalid as error:
                if error.path == ("after",) and AFTER in request.query_params:
                    return RedirectResponse(_first_page(request), 303)
                raise

        return Route(self.path, get, methods=["GET"], name=self.name)


async def render_page(
    page_request: PageRequest, page: Page, *, status: int = 200, variables: Data | None = None, more: Data | None = None
) -> Response:
    """Run the page's document and render its template."""
    variables = page.variables(page_request) if variables is None else variables
    data = await run_document(page_request.request, page.name, variables)
    context = {
        **data,
        "form": page_request.form,
        "form_number": (page_request.form or Form()).get(FORM_NUMBER) or token_urlsafe(16),
        "zone": page_request.zone,
        **page.view(page_request, data),
        "shown_query": shown_query(page_request.request, page.name, variables),
        **(more or {}),
    }
    return render(page_request.request, page.name, context, status)


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
