"""A page is a document and a template; a form is a mutation, and a page to show again when it is refused."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from portal.core.clock import utc_now
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound
from web.auth.identity import Visitor
from web.auth.session import require_visitor
from web.pages.framework.form import Form, read_form
from web.pages.framework.run_document import run_document, shown_query
from web.pages.framework.templates import render

_REFUSALS = (Invalid, Forbidden, NotFound, Conflict)
_STATUS = {error.code: error.http_status for error in _REFUSALS}
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


def problem_at(path: Sequence[str], message: str, code: str) -> Problem:
    """Return the problem beside the input that the last part of the path names; an id is in no form."""
    field = path[-1] if path else ""
    return Problem(message, "" if field == "id" else field, code)


def no_variables(page_request: PageRequest) -> Data:
    """Return nothing, for a document without variables."""
    return {}


def no_context(page_request: PageRequest, data: Data) -> Data:
    """Return nothing, for a template that shows its document's data as it is."""
    return {}


@dataclass(frozen=True, slots=True)
class Page:
    """`name` keys/key_list means web/pages/keys/key_list.graphql and .html. `view` adds to the document's data."""

    path: str
    name: str
    variables: Callable[[PageRequest], Data] = no_variables
    view: Callable[[PageRequest, Data], Data] = no_context

    def route(self) -> Route:
        """Return the route that shows this page."""

        async def get(request: Request) -> Response:
            return await render_page(await _page_request(request), self)

        return Route(self.path, get, methods=["GET"], name=self.name)


@dataclass(frozen=True, slots=True)
class Action:
    """A form's address. `then` answers what the mutation returned; a problem shows `page` again."""

    path: str
    name: str
    page: Page
    variables: Callable[[PageRequest], Data]
    then: Callable[[PageRequest, Data], Awaitable[Response]]

    def routes(self) -> list[Route]:
        """Return the form's route, and one that leads a GET to the page that has the form."""

        async def post(request: Request) -> Response:
            return await submit(await _page_request(request, with_form=True), self)

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
        "zone": page_request.zone,
        "done": page_request.query("done"),
        **page.view(page_request, data),
        "shown_query": shown_query(page_request.request, page.name, variables),
        **(more or {}),
    }
    return render(page_request.request, page.name, context, status)


async def submit(page_request: PageRequest, action: Action) -> Response:
    """Run the mutation; go on, or show the page again with what is wrong beside its field."""
    try:
        data = await run_document(page_request.request, action.name, action.variables(page_request))
    except _REFUSALS as error:
        problem = problem_at(error.path, str(error), error.code)
    else:
        (result,) = data.values()
        if "code" not in result:
            return await action.then(page_request, result)
        problem = problem_at(result["path"], result["message"], result["code"])
    return await render_page(
        page_request, action.page, status=_STATUS.get(problem.code, Invalid.http_status), more={"problem": problem}
    )


async def _page_request(request: Request, *, with_form: bool = False) -> PageRequest:
    visitor = await require_visitor(request)
    return PageRequest(request, visitor, utc_now(), await read_form(request) if with_form else None)
