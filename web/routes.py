"""Every page and form of the portal, a row each. The documents and templates lie under web/pages."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from web import entrance
from web.page import Action, Asked, Page
from web.pages.keys import detail, forms, reveal
from web.pages.keys import list as key_list
from web.pages.usage import requests, series
from web.session import HOME

NEW_KEY = Page("/keys/new", "keys/new")
PAGES = (key_list.PAGE, NEW_KEY, detail.PAGE, series.PAGE, requests.PAGE, requests.ONE)


def back_to_key(done: str) -> Callable[[Asked, dict[str, Any]], Awaitable[Response]]:
    """To the key's page, saying what was done."""

    async def then(asked: Asked, result: dict[str, Any]) -> Response:
        return RedirectResponse(f"/keys/{result['key']['id']}?done={done}", 303)

    return then


ACTIONS = (
    Action("/keys/new", "keys/create", NEW_KEY, forms.new_key, reveal.reveal_secret),
    Action("/keys/{id}/update", "keys/update", detail.PAGE, forms.changed_key, back_to_key("updated")),
    Action("/keys/{id}/rotate", "keys/rotate", detail.PAGE, forms.rotated_key, reveal.reveal_secret),
    Action("/keys/{id}/pause", "keys/pause", detail.PAGE, forms.this_key, back_to_key("paused")),
    Action("/keys/{id}/resume", "keys/resume", detail.PAGE, forms.this_key, back_to_key("resumed")),
    Action("/keys/{id}/revoke", "keys/revoke", detail.PAGE, forms.revoked_key, back_to_key("revoked")),
)


async def to_first_page(request: Request) -> Response:
    return RedirectResponse(HOME, 303)


def page_routes() -> list[BaseRoute]:
    """The first that matches answers, so fixed addresses stand before those with an id."""
    return [
        Route("/", to_first_page, methods=["GET"]),
        *entrance.ROUTES,
        requests.FIND,
        *(page.route() for page in PAGES),
        *(route for action in ACTIONS for route in action.routes()),
    ]
