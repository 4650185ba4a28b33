"""Every page and form of the portal, a row each. The documents and templates lie under web/pages."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from web.pages.accounts import sign_in as entrance
from web.pages.activity import page as activity
from web.pages.framework.page import Action, Page, PageRequest, no_variables
from web.pages.invoices import invoice_list as invoices
from web.pages.invoices import invoice_page as invoice
from web.pages.keys import forms, key_list
from web.pages.keys import key_page as detail
from web.pages.keys import reveal_secret as reveal
from web.pages.overview import page as today
from web.pages.plan import page as catalogue
from web.pages.settings import gateways
from web.pages.settings import personal as own
from web.pages.settings.reveal_token import reveal_token
from web.pages.usage import requests_page as requests
from web.pages.usage import usage_page as series

NEW_KEY = Page("/keys/new", "keys/new")
PAGES = (
    today.PAGE,
    key_list.PAGE,
    NEW_KEY,
    detail.PAGE,
    series.PAGE,
    requests.PAGE,
    requests.ONE,
    catalogue.PAGE,
    invoices.PAGE,
    invoice.PAGE,
    activity.PAGE,
    own.PAGE,
    gateways.PAGE,
)


def back_to_key(done: str) -> Callable[[PageRequest, dict[str, Any]], Awaitable[Response]]:
    """To the key's page, saying what was done."""

    async def then(page_request: PageRequest, result: dict[str, Any]) -> Response:
        return RedirectResponse(f"/keys/{result['key']['id']}?done={done}", 303)

    return then


ACTIONS = (
    Action("/keys/new", "keys/create", NEW_KEY, forms.new_key, reveal.reveal_secret),
    Action("/keys/{id}/update", "keys/update", detail.PAGE, forms.changed_key, back_to_key("updated")),
    Action("/keys/{id}/rotate", "keys/rotate", detail.PAGE, forms.rotated_key, reveal.reveal_secret),
    Action("/keys/{id}/pause", "keys/pause", detail.PAGE, forms.this_key, back_to_key("paused")),
    Action("/keys/{id}/resume", "keys/resume", detail.PAGE, forms.this_key, back_to_key("resumed")),
    Action("/keys/{id}/revoke", "keys/revoke", detail.PAGE, forms.revoked_key, back_to_key("revoked")),
    Action("/plan", "plan/subscribe", catalogue.PAGE, catalogue.chosen_plan, catalogue.back_to_plan),
    Action("/settings/account", "settings/switch_account", own.PAGE, own.chosen_account, own.switched),
    Action(
        "/settings/sessions/revoke-others", "settings/revoke_other_sessions", own.PAGE, no_variables, own.others_ended
    ),
    Action("/settings/sessions/{id}/revoke", "settings/revoke_session", own.PAGE, own.this_one, own.session_ended),
    Action("/settings/tokens", "settings/create_token", own.PAGE, own.new_token, reveal_token),
    Action("/settings/tokens/{id}/revoke", "settings/revoke_token", own.PAGE, own.this_one, own.token_revoked),
    Action("/settings/gateways", "settings/create_service_token", gateways.PAGE, gateways.new_gateway, reveal_token),
    Action(
        "/settings/gateways/{id}/revoke",
        "settings/revoke_service_token",
        gateways.PAGE,
        own.this_one,
        gateways.gateway_revoked,
    ),
)


def page_routes() -> list[BaseRoute]:
    """The first that matches answers, so fixed addresses stand before those with an id."""
    return [
        *entrance.ROUTES,
        requests.FIND,
        *(page.route() for page in PAGES),
        *(route for action in ACTIONS for route in action.routes()),
    ]
