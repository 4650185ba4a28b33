"""Every page and form of the portal, a row each. The documents and templates lie under web/pages."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from web.pages.accounts.sign_in import ROUTES as SIGN_IN_ROUTES
from web.pages.activity import page as activity
from web.pages.framework import Action, Page, PageRequest, no_variables, redirect_with
from web.pages.invoices import invoice_list, invoice_page
from web.pages.keys import forms, key_list, key_page, reveal_secret
from web.pages.overview import page as overview
from web.pages.plan import page as plan
from web.pages.reveals.page import ROUTES as REVEAL_ROUTES
from web.pages.settings import gateways, personal, reveal_token
from web.pages.usage import requests_page, usage_page

UPDATED = "Saved. The change applies to every check from now on."
PAUSED = "Paused. Checks with this key are denied until you resume it."
RESUMED = "Resumed. Checks with this key are accepted again."
REVOKED = "Revoked. Checks with this key no longer succeed."
NEW_KEY = Page("/keys/new", "keys/new")
PAGES = (
    overview.PAGE,
    key_list.PAGE,
    NEW_KEY,
    key_page.PAGE,
    usage_page.PAGE,
    requests_page.PAGE,
    requests_page.REQUEST_PAGE,
    plan.PAGE,
    invoice_list.PAGE,
    invoice_page.PAGE,
    activity.PAGE,
    personal.PAGE,
    gateways.PAGE,
)


def back_to_key(message: str) -> Callable[[PageRequest, dict[str, Any]], Awaitable[Response]]:
    """Return what leads back to the key's page, which then says once what was done."""

    async def then(page_request: PageRequest, result: dict[str, Any]) -> Response:
        address = f"/keys/{result['key']['id']}"
        return await redirect_with(page_request.request, page_request.visitor, address, message)

    return then


ACTIONS = (
    Action("/keys/new", "keys/create", NEW_KEY, forms.create_variables, reveals=reveal_secret.PAGE.name),
    Action("/keys/{id}/update", "keys/update", key_page.PAGE, forms.update_variables, back_to_key(UPDATED)),
    Action("/keys/{id}/rotate", "keys/rotate", key_page.PAGE, forms.rotate_variables, reveals=reveal_secret.PAGE.name),
    Action("/keys/{id}/pause", "keys/pause", key_page.PAGE, forms.id_variables, back_to_key(PAUSED)),
    Action("/keys/{id}/resume", "keys/resume", key_page.PAGE, forms.id_variables, back_to_key(RESUMED)),
    Action("/keys/{id}/revoke", "keys/revoke", key_page.PAGE, forms.revoke_variables, back_to_key(REVOKED)),
    Action("/plan", "plan/subscribe", plan.PAGE, plan.subscribe_variables, plan.after_subscribe),
    Action("/plan/undo", "plan/undo", plan.PAGE, no_variables, plan.after_undo),
    Action("/plan/withdraw", "plan/withdraw", plan.PAGE, no_variables, plan.after_withdraw),
    Action(
        "/settings/account",
        "settings/switch_account",
        personal.PAGE,
        personal.switch_account_variables,
        personal.after_switch_account,
    ),
    Action(
        "/settings/time-zone",
        "settings/set_time_zone",
        personal.PAGE,
        personal.set_time_zone_variables,
        personal.after_set_time_zone,
    ),
    Action(
        "/settings/sessions/revoke-others",
        "settings/revoke_other_sessions",
        personal.PAGE,
        no_variables,
        personal.after_revoke_other_sessions,
    ),
    Action(
        "/settings/sessions/{id}/revoke",
        "settings/revoke_session",
        personal.PAGE,
        personal.id_variables,
        personal.after_revoke_session,
    ),
    Action(
        "/settings/tokens",
        "settings/create_token",
        personal.PAGE,
        personal.create_token_variables,
        reveals=reveal_token.PAGE.name,
    ),
    Action(
        "/settings/tokens/{id}/revoke",
        "settings/revoke_token",
        personal.PAGE,
        personal.id_variables,
        personal.after_revoke_token,
    ),
    Action(
        "/settings/gateways",
        "settings/create_service_token",
        gateways.PAGE,
        gateways.create_token_variables,
        reveals=reveal_token.PAGE.name,
    ),
    Action(
        "/settings/gateways/{id}/revoke",
        "settings/revoke_service_token",
        gateways.PAGE,
        personal.id_variables,
        gateways.after_revoke_token,
    ),
)


def page_routes() -> list[BaseRoute]:
    """Return every page and form. The first that matches answers, so fixed addresses stand before those with an id."""
    return [
        *SIGN_IN_ROUTES,
        *REVEAL_ROUTES,
        *key_list.ROUTES,
        *requests_page.FIND_ROUTES,
        *(page.route() for page in PAGES),
        *(route for action in ACTIONS for route in action.routes()),
    ]
