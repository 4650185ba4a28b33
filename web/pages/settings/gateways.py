"""Service tokens of the provider's gateways. For staff."""

from typing import Any

from starlette.responses import RedirectResponse, Response

from web.pages.framework import Page, PageRequest
from web.pages.settings.personal import STATES


def create_token_variables(page_request: PageRequest) -> dict[str, Any]:
    return {"name": page_request.form.text("name") if page_request.form else ""}


def view(page_request: PageRequest, data: dict[str, Any]) -> dict[str, Any]:
    done = "Revoked. Checks with this token are refused within a few seconds." if page_request.query("done") else None
    return {"states": STATES, "done": done}


async def after_revoke_token(page_request: PageRequest, result: dict[str, Any]) -> Response:
    return RedirectResponse("/settings/gateways?done=revoked", 303)


PAGE = Page("/settings/gateways", "settings/gateways", view=view)
