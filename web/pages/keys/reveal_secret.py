"""A key's new secret, as its own session sees it for a while."""

from typing import Any

from portal.core.errors import NotFound
from web.pages.framework import Page, PageRequest
from web.pages.keys.key_state import ending_secrets


def view(page_request: PageRequest, data: dict[str, Any]) -> dict[str, Any]:
    """Return the secrets that still work beside the new one. Raises NotFound for a key that is not this account's."""
    if data["key"] is None:
        raise NotFound("This key does not exist.")
    return {"ending": ending_secrets(data["key"], page_request.now)}


PAGE = Page("/keys", "keys/reveal", view=view)
