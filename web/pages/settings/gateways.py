"""Service tokens of the provider's gateways. For staff."""

from typing import Any

from starlette.responses import Response

from web.pages.framework import Page, PageRequest, redirect_with
from web.pages.settings.personal import STATES


def create_token_variables(page_request: PageRequest) -> dict[str, Any]:
    return {"name": page_request.form.text("name") if page_request.form else ""}


def view(page_request: PageRequest, data: dict[str, Any]) -> dict[str, Any]:
    return {"states": STATES}


async def after_revoke_token(page_request: PageRequest, result: dict[str, Any]) -> Response:
    message = "Revoked. Checks with this token are refused within a few seconds."
    return await redirect_with(page_request.request, page_request.visitor, "/settings/gateways", message)


PAGE = Page("/settings/gateways", "settings/gateways", view=view)
