"""The session cookie: who looks at this page, and the way to the sign-in page where nobody is signed in."""

from collections.abc import Mapping
from urllib.parse import quote, unquote_plus, urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response

from portal.accounts import MAX_DEVICE_AGE_DAYS, MAX_SESSION_AGE, authenticate_session, get_account
from portal.keys import has_secret, mask_secrets
from web.auth.identity import Visitor
from web.connection.budget import Rank, note_rank
from web.http import client_address
from web.services import services_of

HOME = "/"
DEVICE = "device"
POLL_HEADER = "X-Poll"
"""A page that refreshes by itself sends this header, so that it keeps no unused session alive."""
MAX_NEXT = 4096
"""Characters of an address to go back to."""
MAX_QUOTINGS = 5


SIGNED_OUT_COOKIE = "signed-out"
"""Says on the sign-in page, once, that its browser has just signed out: there is no session that could."""


class SignInNeeded(Exception):
    """Nobody is signed in, or the session ended (30 min idle, 12 h at most).

    `typed` is what a form sent in vain, and `target` the page that has the form.
    """

    def __init__(self, target: str | None = None, typed: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.target = target
        self.typed = typed


async def current_visitor(connection: HTTPConnection) -> Visitor | None:
    """Return who is signed in, looked up once a request; None for nobody."""
    if not hasattr(connection.state, "visitor"):
        connection.state.visitor = await _find_visitor(connection)
    visitor: Visitor | None = connection.state.visitor
    return visitor


async def require_visitor(request: Request) -> Visitor:
    """Return who is signed in. Raises SignInNeeded."""
    visitor = await current_visitor(request)
    if visitor is None:
        raise SignInNeeded
    return visitor


async def _find_visitor(connection: HTTPConnection) -> Visitor | None:
    token = session_token(connection)
    if not token:
        return None
    async with services_of(connection).database.transaction() as tx:
        is_use = POLL_HEADER not in connection.headers
        found = await authenticate_session(tx, token, client_address(connection), is_use=is_use)
        if found is None:
            return None
        note_rank(connection, Rank.PERSON)
        account = await get_account(tx, found.actor.account_id)
        return Visitor(found.person, found.actor, account, token, found.page_notes)


def cookie_name(connection: HTTPConnection) -> str:
    """Return the session cookie's name: `__Host-` pins it to this host and to https; over http browsers refuse that."""
    return _prefixed(connection, "session")


def _prefixed(connection: HTTPConnection, name: str) -> str:
    return f"__Host-{name}" if services_of(connection).settings.is_https else name


def session_token(connection: HTTPConnection) -> str:
    return connection.cookies.get(cookie_name(connection), "")


def set_session(request: Request, response: Response, token: str) -> None:
    """Hand the browser the cookie of its session."""
    _set_cookie(request, response, cookie_name(request), token, int(MAX_SESSION_AGE.total_seconds()))


def end_session(request: Request, response: Response) -> None:
    _set_cookie(request, response, cookie_name(request), "", 0)


def device_marks(connection: HTTPConnection) -> str:
    """Return who has signed in on this device before, as `set_device` left it; it outlives sessions."""
    return connection.cookies.get(_prefixed(connection, DEVICE), "")


def set_device(request: Request, response: Response, marks: str) -> None:
    if marks:
        _set_cookie(request, response, _prefixed(request, DEVICE), marks, MAX_DEVICE_AGE_DAYS * 24 * 60 * 60)


def _set_cookie(request: Request, response: Response, name: str, value: str, max_age: int) -> None:
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path="/",
        secure=services_of(request).settings.is_https,
        httponly=True,
        samesite="lax",
    )


def signed_out(request: Request) -> Response:
    """Return an answer that ends the session in the browser and leads to the sign-in page, which says so once."""
    response = RedirectResponse("/sign-in", 303)
    end_session(request, response)
    response.set_cookie(
        SIGNED_OUT_COOKIE,
        "1",
        max_age=60,
        path="/sign-in",
        secure=services_of(request).settings.is_https,
        httponly=True,
        samesite="lax",
    )
    return response


def to_sign_in(request: Request) -> Response:
    """Return an answer that leads to the sign-in page and back afterwards; for htmx by a header of its own.

    A form's address is a page too (routes.py sends a GET there to the page that has the form). A page that refreshes
    by itself stays: somebody may be typing into it.
    """
    if POLL_HEADER in request.headers:
        return Response(status_code=401)
    is_fragment = request.headers.get("HX-Request") == "true"
    parts = urlsplit(request.headers.get("HX-Current-URL", "")) if is_fragment else request.url
    has_query = parts.query and request.method == "GET"
    target = safe_next(parts.path + (f"?{parts.query}" if has_query else ""))
    address = "/sign-in" if target == HOME else f"/sign-in?next={quote(target)}"
    if is_fragment:
        return Response(status_code=401, headers={"HX-Redirect": address})
    return RedirectResponse(address, 303)


def safe_next(target: str | None) -> str:
    """Return the path if it is one on this site, else the first page: a link to us never leads elsewhere.

    A query with a secret in it, however it is quoted, is left out: the target stands in a page and in an address.
    """
    is_path = target is not None and target.startswith("/") and target[1:2] not in ("/", "\\")
    if not target or not is_path or len(target) > MAX_NEXT or not target.isprintable() or "\\" in target:
        return HOME
    path, _, query = target.partition("?")
    plain = _unquote(path)
    if mask_secrets(plain, is_guessing=False) != plain:
        return HOME
    return path if has_secret(_unquote(query)) else target


def _unquote(text: str) -> str:
    """Return the text as it is after MAX_QUOTINGS rounds of unquoting."""
    for _ in range(MAX_QUOTINGS):
        text = unquote_plus(text)
    return text
