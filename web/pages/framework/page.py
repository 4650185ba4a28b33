"""A page is a document and a template; a form is a mutation, and a page to show again when it is refused."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from portal.accounts import FormAlreadySent
from portal.core.clock import utc_now
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from portal.keys import mask_secrets
from web.auth.identity import Visitor
from web.auth.session import SignInNeeded, current_visitor, require_visitor
from web.pages.framework.form import FORM_NUMBER, Form, read_form
from web.pages.framework.notes import take_note
from web.pages.framework.reveal import RevealOnce, address_of, seal_of_form
from web.pages.framework.run_document import run_document, shown_query
from web.pages.framework.templates import render

_REFUSALS = (Invalid, Forbidden, NotFound, Conflict)
_STATUS = {error.code: error.http_status for error in _REFUSALS}
AFTER = "after"
MESSAGE_FIELDS = frozenset(
    {
        *("account", "allowedIps", "confirm", "email", "environment", "expiresAt"),
        *("name", "overlapSeconds", "password", "scopes", "sure"),
    }
)
"""The inputs beside which templates show what is wrong; everything else is said above the form."""
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
        return self.visitor.account.time_zone

    def query(self, name: str) -> str:
        """Return a parameter of the address, empty where it is missing."""
        return self.request.query_params.get(name, "").strip()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a form was refused; `field` is the input's name, or empty."""

    message: str
    field: str = ""
    code: str = Invalid.code

    @property
    def is_beside_field(self) -> bool:
        """Return whether the message stands beside an input, so that it need not be said above the form too."""
        return self.field in MESSAGE_FIELDS


def problem_at(path: Sequence[str], message: str, code: str) -> Problem:
    """Return the problem beside the input that the last part of the path names; an id is in no form."""
    field = path[-1] if path else ""
    return Problem(message, "" if field == "id" else field, code)


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


@dataclass(frozen=True, slots=True)
class Action:
    """A form's address. `then` answers what the mutation returned; a problem shows `page` again.

    A form that makes a secret names the page that `reveals` it instead, and acts once however often it is sent.
    """

    path: str
    name: str
    page: Page
    variables: Callable[[PageRequest], Data]
    then: Callable[[PageRequest, Data], Awaitable[Response]] | None = None
    reveals: str = ""

    def routes(self) -> list[Route]:
        """Return the form's route, and one that leads a GET to the page that has the form."""

        async def post(request: Request) -> Response:
            form = await read_form(request)
            visitor = await current_visitor(request)
            if visitor is None:
                raise SignInNeeded(self.page.path.format(**request.path_params), form)
            return await submit(PageRequest(request, visitor, utc_now(), form), self, form)

        async def get(request: Request) -> Response:
            address = self.page.path.format(**request.path_params)
            return RedirectResponse(address, 303)

        routes = [Route(self.path, post, methods=["POST"], name=self.name)]
        return routes if self.path == self.page.path else [*routes, Route(self.path, get, methods=["GET"])]


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


async def submit(page_request: PageRequest, action: Action, form: Form) -> Response:
    """Run the mutation; go on, or show the page again with what is wrong beside its field."""
    seal = seal_of_form(page_request.visitor, form)
    once = RevealOnce(seal, action.reveals) if action.reveals else None
    try:
        data = await run_document(page_request.request, action.name, action.variables(page_request), once)
    except FormAlreadySent:
        return RedirectResponse(address_of(seal), 303)
    except Unauthenticated:
        raise SignInNeeded(action.page.path.format(**page_request.request.path_params), form) from None
    except _REFUSALS as error:
        problem = problem_at(error.path, str(error), error.code)
    else:
        (result,) = data.values()
        if "code" not in result:
            if action.then is None:
                return RedirectResponse(address_of(seal), 303)
            return await action.then(page_request, result)
        problem = problem_at(result["path"], result["message"], result["code"])
    return await render_page(
        page_request, action.page, status=_STATUS.get(problem.code, Invalid.http_status), more={"problem": problem}
    )
