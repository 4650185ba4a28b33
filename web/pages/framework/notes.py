"""What one request leaves for the next page of its session: a message that is shown once, a form that was typed."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from portal.accounts import leave_page_note, take_page_note
from portal.keys import has_secret
from web.auth.identity import Visitor
from web.auth.session import POLL_HEADER
from web.pages.framework.form import FORM_NUMBER
from web.services import services_of

MAX_TYPED_BYTES = 16 * 1024
MAX_TYPED_FIELDS = 60
PARTIAL = ("HX-Request", POLL_HEADER, "Sec-Purpose")
"""Headers of requests that nobody reads as a page: parts of one, refreshing, prefetching."""
NEVER_KEPT = ("password", "secret", "token", "confirm", FORM_NUMBER.lower())


async def redirect_with(request: Request, visitor: Visitor, address: str, message: str) -> Response:
    """Lead to one of our pages, which then says this once, in whichever tab shows it first."""
    await leave_note(request, visitor.actor.credential or "", address, {"message": message})
    return RedirectResponse(address, 303)


async def leave_note(request: Request, session_id: str, address: str, note: dict[str, Any]) -> None:
    """Leave a note of `message` or `form` for the page at this address."""
    async with services_of(request).database.transaction() as tx:
        await leave_page_note(tx, session_id, urlsplit(address).path, note)


async def take_note(request: Request, visitor: Visitor) -> dict[str, Any]:
    """Return what waits for this page, which is thereby gone; nothing for parts of a page and for refreshing."""
    path = request.url.path
    is_whole = request.method == "GET" and not any(name in request.headers for name in PARTIAL)
    note: dict[str, Any] | None = visitor.page_notes.get(path) if is_whole else None
    if note is None:
        return {}
    async with services_of(request).database.transaction() as tx:
        return note if await take_page_note(tx, visitor.actor.credential or "", path) else {}


def typed_fields(form: Mapping[str, str]) -> dict[str, str]:
    """Return what of a form may wait until somebody has signed in: no password, no secret, nothing excessive."""
    fields = {
        name: text
        for name, text in form.items()
        if not any(part in name.lower() for part in NEVER_KEPT) and not has_secret(text) and "\0" not in text
    }
    size = sum(len(name.encode()) + len(text.encode()) for name, text in fields.items())
    return fields if size <= MAX_TYPED_BYTES and len(fields) <= MAX_TYPED_FIELDS else {}
