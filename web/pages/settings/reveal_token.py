"""A new token, as its own session sees it for a while."""

from typing import Any

from portal.core.errors import NotFound
from web.pages.framework import Page, PageRequest


def view(page_request: PageRequest, data: dict[str, Any]) -> dict[str, Any]:
    """Return whether it is a personal one. Raises NotFound for a token that was revoked and deleted."""
    if data["node"] is None:
        raise NotFound("This token does not exist.")
    return {"is_personal": data["node"]["id"].startswith("pat_")}


PAGE = Page("/settings", "settings/reveal", view=view)
