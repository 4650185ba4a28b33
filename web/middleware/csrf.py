"""Refuse what another site makes a browser send, before any route sees it."""

from starlette.requests import Request
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from portal.core.errors import Forbidden
from web.auth.csrf import SAFE_METHODS, require_own_origin
from web.auth.session import session_token
from web.graphql.response import respond_refused
from web.middleware.errors import problem_page

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
