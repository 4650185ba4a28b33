"""A form is a mutation, and a page to show again when it is refused.

One that makes a secret acts once, and leads to an address where its session sees the secret for a while.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from portal.accounts import FormAlreadySent, FormSeal, keep_secret, release_form, seal_of, take_form
from portal.core.actor import Actor
from portal.core.clock import utc_now
from portal.core.database import Tx
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from portal.core.ids import new_id
from web.auth.identity import Visitor
from web.auth.session import SignInNeeded, current_visitor
from web.pages.framework.form import FORM_NUMBER, Form, read_form
from web.pages.framework.page import Data, Page, PageRequest, render_page, run_document

_REFUSALS = (Invalid, Forbidden, NotFound, Conflict)
_STATUS = {error.code: error.http_status for error in _REFUSALS}
MESSAGE_FIELDS = frozenset(
    {
        *("account", "allowedIps", "confirm", "email", "environment", "expiresAt"),
        *("name", "overlapSeconds", "password", "scopes", "sure", "timeZone"),
    }
)
"""The inputs beside which templates show what is wrong; everything else is said above the form."""


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


def address_of(seal: FormSeal) -> str:
    """Return where the secret of a form is shown."""
    return f"/reveals/{seal.id}"


def seal_of_form(visitor: Visitor, form: Form) -> FormSeal:
    """Return the seal of a form that was sent; one without a number, as from a page of an older version, is its own."""
    return seal_of(visitor.token, form.text(FORM_NUMBER)[:64] or new_id("form"))


@dataclass(frozen=True, slots=True)
class RevealOnce:
    """Implements portal.graphql.RunOnce for a form whose secret the page `page_name` shows."""

    seal: FormSeal
    page_name: str

    async def acquire(self, tx: Tx, actor: Actor) -> None:
        await take_form(tx, actor, self.seal)

    async def finish(self, tx: Tx, data: dict[str, Any]) -> None:
        (result,) = data.values()
        if "code" in result:
            await release_form(tx, self.seal)
            return
        (owner,) = (value for value in result.values() if isinstance(value, dict))
        (secret,) = (value for value in result.values() if isinstance(value, str))
        await keep_secret(tx, self.seal, {"page": self.page_name, "id": owner["id"], "secret": secret})
