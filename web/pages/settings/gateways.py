"""Service tokens of the provider's gateways. For staff."""

from typing import Any

from starlette.responses import RedirectResponse, Response

from web.pages.framework.page import Asked, Page
from web.pages.settings.personal import STATES


def new_gateway(asked: Asked) -> dict[str, Any]:
    return {"name": asked.form.text("name") if asked.form else ""}


def view(asked: Asked, data: dict[str, Any]) -> dict[str, Any]:
    done = "Revoked. Checks with it are refused within a few seconds." if asked.query("done") else None
    return {"states": STATES, "done": done}


async def gateway_revoked(asked: Asked, result: dict[str, Any]) -> Response:
    return RedirectResponse("/settings/gateways?done=revoked", 303)


PAGE = Page("/settings/gateways", "settings/gateways", view=view)
