"""No other site can make a browser act here.

Two independent walls for every unsafe method of a page: the browser's own word on where the request comes from
(Sec-Fetch-Site, else Origin), and a token in the form that is bound to the visitor's session. Before sign-in it is
bound to a cookie of its own, so that nobody is signed in as somebody else. The token is masked anew in each page:
pages are compressed, and a constant secret beside reflected input could be guessed from sizes.
"""

import secrets
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from portal.core.errors import Forbidden
from web.auth.session import cookie_name, session_token, set_cookie
from web.services import services_of

FIELD = "csrf"
VISIT_SECONDS = 12 * 3600


def form_token(request: Request) -> str:
    """The token for this page's forms."""
    mask = secrets.token_bytes(32)
    return (mask + _xor(mask, _expected(_binding(request)))).hex()


def keep_visit(request: Request, response: Response) -> None:
    """Give an anonymous browser the cookie that its form's token is bound to."""
    if not session_token(request) and not request.cookies.get(cookie_name(request, "visit")):
        set_cookie(request, response, "visit", _binding(request), VISIT_SECONDS)


def require_own_form(request: Request, token: str) -> None:
    """Raises Forbidden unless the request comes from a form of ours, in this browser."""
    if not is_own_origin(request):
        raise Forbidden("This form was sent from another site, so it was not acted upon.", hint="Open the page here.")
    if not _matches(request, token):
        raise Forbidden(
            "This form belongs to a session that has ended, so it was not acted upon.",
            hint="Load the page again and repeat it.",
        )


def is_own_origin(request: Request) -> bool:
    """Sec-Fetch-Site says same-origin or none (typed by hand); browsers without it send Origin."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = urlsplit(request.headers.get("Origin", ""))
    ours = {request.headers.get("Host"), urlsplit(services_of(request).settings.base_url).netloc}
    return origin.scheme in ("http", "https") and origin.netloc in ours


def _binding(request: Request) -> str:
    bound = session_token(request) or request.cookies.get(cookie_name(request, "visit"))
    if not bound:
        bound = request.state.visit = getattr(request.state, "visit", None) or secrets.token_urlsafe(32)
    return bound


def _matches(request: Request, token: str) -> bool:
    try:
        sent = bytes.fromhex(token)
    except ValueError:
        return False
    mask, masked = sent[:32], sent[32:]
    return len(masked) == 32 and compare_digest(_xor(mask, masked), _expected(_binding(request)))


def _expected(binding: str) -> bytes:
    return hmac_digest(binding.encode(), b"form", sha256)


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
