"""The secret, once: the answer to the form that made it, and never an address of its own."""

from typing import Any

from starlette.responses import Response

from web.pages.framework import Page, PageRequest, render_page
from web.pages.keys.key_state import ending_secrets

PAGE = Page("/keys", "keys/reveal")


async def reveal_secret(page_request: PageRequest, result: dict[str, Any]) -> Response:
    """Show the secret of a CreatedKey or RotatedKey, this once."""

    def view(page_request: PageRequest, data: dict[str, Any]) -> dict[str, Any]:
        return {"secret": result["secret"], "ending": ending_secrets(data["key"], page_request.now)}

    page = Page(PAGE.path, PAGE.name, view=view)
    return await render_page(page_request, page, variables={"id": result["key"]["id"]})
