"""What other sites may make a browser send: nothing that acts here (CSRF), and for listed origins the API (CORS).

CSRF: an unsafe request of a browser is refused before any route sees it, unless one of our own pages sent it.
CORS (Fetch standard): the listed origins call the API with bearer tokens only. A request of such an origin loses its
cookies before anything reads them: whoever sends no token is anonymous. Credentials are never allowed, so a browser
would not send any. An origin that is not listed gets no header, and its browser keeps the answer from it. Sockets are
held to the same list (web.graphql.websocket).
"""

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal.core.errors import Forbidden
from web.auth.csrf import SAFE_METHODS, is_allowed_origin, is_own_origin, require_own_origin
from web.auth.session import session_token
from web.graphql.http_messages import respond_refused
from web.middleware.errors import problem_page
from web.usage.export import PATH as EXPORT_PATH

GRAPHQL_PATHS = frozenset({"/graphql", "/graphql/stream"})
API_PATHS = GRAPHQL_PATHS | {"/usage/export", "/usage/events"}
"""Addresses that answer programs too. Every other one is a page's, where even signing in must come from here."""
NOTHING = "nothing"
"""The name of the route of all addresses that there are not: whoever asks there is told that, and nothing else."""


class CsrfMiddleware:
    """ASGI middleware: an unsafe request must come from our own pages, unless a program's token stands for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            if _is_from_a_browser(request):
                require_own_origin(request)
        except Forbidden as error:
            is_graphql = scope["path"] in GRAPHQL_PATHS
            response = respond_refused(request, error) if is_graphql else problem_page(request, 403, detail=str(error))
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _leads_nowhere(request: Request) -> bool:
    """Return whether the first route that has this address, whatever its methods, is the one of none."""
    for route in request.app.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            return getattr(route, "name", "") == NOTHING
    return True


def _is_from_a_browser(request: Request) -> bool:
    """Return whether a browser's session could stand behind this request, or be begun by it."""
    if request.scope["path"] not in API_PATHS:
        return not _leads_nowhere(request)
    return bool(session_token(request)) and "Authorization" not in request.headers


METHODS = {"/graphql": "GET, POST", "/graphql/stream": "GET, POST", EXPORT_PATH: "GET, HEAD"}
"""By address: what other origins may call, and how."""
EXPOSED = ", ".join(
    [
        *("RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
        *("Retry-After", "Idempotency-Replayed", "X-Request-Id", "Content-Disposition", "X-Total-Estimate"),
    ]
)
MAX_AGE_SECONDS = 7200
"""As long as Chromium remembers a preflight."""


class CorsMiddleware:
    """ASGI middleware: answers preflights, takes cookies off, adds the headers that let a page read the answer."""

    def __init__(self, app: ASGIApp, *, has_origins: bool) -> None:
        self._app = app
        self._has_origins = has_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in METHODS or not self._has_origins:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        origin = request.headers.get("Origin", "")
        is_allowed = is_allowed_origin(request) and not is_own_origin(request)
        if is_allowed and scope["method"] == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            await _preflight(request, origin)(scope, receive, send)
            return
        if is_allowed:
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"cookie"]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.add_vary_header("Origin")
                if is_allowed:
                    headers["Access-Control-Allow-Origin"] = origin
                    headers["Access-Control-Expose-Headers"] = EXPOSED
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _preflight(request: Request, origin: str) -> Response:
    """Allow whatever headers are asked for: without credentials none of them means more than from any program."""
    headers = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": METHODS[request.url.path],
        "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
        "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    }
    names = request.headers.get("Access-Control-Request-Headers", "")
    if names:
        headers["Access-Control-Allow-Headers"] = names
    return Response(status_code=204, headers=headers)
