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
from web.pages.framework.query_panel import shown_query
from web.pages.framework.run_document import run_document
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
        return self.visitor.account.time_zone

    def query(self, name: str) -> str:
        return self.request.query_params.get(name, "").strip()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a form was refused; `field` is the input's name, or empty."""

    message: str
    field: str = ""
    code: str = Invalid.code


def problem_at(path: Sequence[str], message: str, code: str) -> Problem:
    """The last part of the path names the input; an id is in no form."""
    field = path[-1] if path else ""
    return Problem(message, "" if field == "id" else field, code)


def no_variables(asked: PageRequest) -> Data:
    return {}


def no_context(asked: PageRequest, data: Data) -> Data:
    return {}


@dataclass(frozen=True, slots=True)
class Page:
    """`name` keys/list means web/pages/keys/list.graphql and .html. `view` adds to the document's data."""

    path: str
    name: str
    variables: Callable[[PageRequest], Data] = no_variables
    view: Callable[[PageRequest, Data], Data] = no_context

    def route(self) -> Route:
        async def get(request: Request) -> Response:
            return await render_page(await _asked(request), self)

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
        async def post(request: Request) -> Response:
            return await submit(await _asked(request, with_form=True), self)

        async def get(request: Request) -> Response:
            address = self.page.path.format(**request.path_params)
            return RedirectResponse(address, 303)

        routes = [Route(self.path, post, methods=["POST"], name=self.name)]
        return routes if self.path == self.page.path else [*routes, Route(self.path, get, methods=["GET"])]


async def render_page(
    asked: PageRequest, page: Page, *, status: int = 200, variables: Data | None = None, more: Data | None = None
) -> Response:
    """Run the page's document and render its template."""
    known = page.variables(asked) if variables is None else variables
    data = await run_document(asked.request, page.name, known)
    context = {
        **data,
        "form": asked.form,
        "zone": asked.zone,
        "done": asked.query("done"),
        **page.view(asked, data),
        "shown_query": shown_query(asked.request, page.name, known),
        **(more or {}),
    }
    return render(asked.request, page.name, context, status)


async def submit(asked: PageRequest, action: Action) -> Response:
    """Run the mutation; go on, or show the page again with what is wrong beside its field."""
    try:
        data = await run_document(asked.request, action.name, action.variables(asked))
    except _REFUSALS as error:
        problem = problem_at(error.path, str(error), error.code)
    else:
        (result,) = data.values()
        if "code" not in result:
            return await action.then(asked, result)
        problem = problem_at(result["path"], result["message"], result["code"])
    return await render_page(
        asked, action.page, status=_STATUS.get(problem.code, Invalid.http_status), more={"problem": problem}
    )


async def _asked(request: Request, *, with_form: bool = False) -> PageRequest:
    visitor = await require_visitor(request)
    return PageRequest(request, visitor, utc_now(), await read_form(request) if with_form else None)
