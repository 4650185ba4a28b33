"""The secret that a form has made: shown to its own session for ten minutes, or until it is stored.

The address alone shows nothing: the secret is sealed with the session's cookie (portal.accounts.sessions.sent_forms).
"""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from portal.accounts import find_secret, forget_secret, open_seal
from portal.core.clock import utc_now
from web.auth.session import require_visitor
from web.pages.framework import PageRequest, read_form, redirect_with, render_page
from web.pages.keys import reveal_secret
from web.pages.settings import reveal_token
from web.services import services_of

PATH = "/reveals/{id}"
PAGES = {page.name: page for page in (reveal_secret.PAGE, reveal_token.PAGE)}
GONE = (
    "A secret is shown for ten minutes, only in the browser session that made it, and only until it is marked as "
    "stored. This one is not shown here any more. If you have not stored it, rotate the key, or revoke the token and "
    "create another one."
)
_DONE = {
    reveal_secret.PAGE.name: "The key is ready. Its secret will not be shown again.",
    reveal_token.PAGE.name: "The token is ready. It will not be shown again.",
}


async def get_reveal(request: Request) -> Response:
    """Show the secret, as often as it is asked for while it waits."""
    visitor = await require_visitor(request)
    async with services_of(request).database.transaction(actor=visitor.actor) as tx:
        found = await find_secret(tx, visitor.actor, open_seal(visitor.token, request.path_params["id"]))
    if found is None:
        raise HTTPException(410, GONE)
    made, left = found
    page = PAGES[made["page"]]
    now = utc_now()
    more = {
        "secret": made["secret"],
        "stored_address": f"{request.url.path}/stored",
        "shown_until": now + left,
        "path": page.path,
    }
    return await render_page(PageRequest(request, visitor, now), page, variables={"id": made["id"]}, more=more)


async def post_stored(request: Request) -> Response:
    """Erase the secret, since its person has stored it, and go on."""
    await read_form(request)
    visitor = await require_visitor(request)
    seal = open_seal(visitor.token, request.path_params["id"])
    async with services_of(request).database.transaction(actor=visitor.actor) as tx:
        found = await find_secret(tx, visitor.actor, seal)
        await forget_secret(tx, visitor.actor, seal)
    if found is None:
        return RedirectResponse("/keys", 303)  # pressed twice, or too late
    made, _ = found
    return await redirect_with(request, visitor, _address_after(made), _DONE[made["page"]])


async def get_stored(request: Request) -> Response:
    """Lead from the form's address to the page that has it."""
    return RedirectResponse(PATH.format(**request.path_params), 303)


def _address_after(made: dict[str, Any]) -> str:
    if made["page"] == reveal_secret.PAGE.name:
        return f"/keys/{made['id']}"
    return "/settings/gateways" if made["id"].startswith("svc_") else "/settings#tokens"


ROUTES = [
    Route(PATH, get_reveal, methods=["GET"], name="reveals/show"),
    Route(f"{PATH}/stored", post_stored, methods=["POST"], name="reveals/stored"),
    Route(f"{PATH}/stored", get_stored, methods=["GET"]),
]
