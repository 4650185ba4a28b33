"""A new token, once: the answer to the form that made it, and never an address of its own."""

from typing import Any

from starlette.responses import Response

from web.pages.framework import Page, PageRequest, render_page

PAGE = Page("/settings", "settings/reveal")


async def reveal_token(page_request: PageRequest, result: dict[str, Any]) -> Response:
    """Show the token of a CreatedPersonalToken or CreatedServiceToken, this once."""
    is_personal = "personalToken" in result
    row = result["personalToken" if is_personal else "serviceToken"]

    def view(page_request: PageRequest, data: dict[str, Any]) -> dict[str, Any]:
        return {"token": result["token"], "is_personal": is_personal}

    return await render_page(page_request, Page(PAGE.path, PAGE.name, view=view), variables={"id": row["id"]})
