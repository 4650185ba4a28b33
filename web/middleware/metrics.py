"""How many requests, how long: by route template, method and status, never by key or account."""

from time import perf_counter

from prometheus_client import Counter, Histogram
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = Counter(
    "portal_http_requests", "Answered requests of pages, GraphQL and files.", ["route", "method", "status"]
)
SECONDS = Histogram("portal_http_request_seconds", "Time to the first byte of the answer.", ["route"])
METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})


class MetricsMiddleware:
    """ASGI middleware: counts each answer and measures the time to its first byte."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()

        async def measuring_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = _template(scope)
                method = scope["method"] if scope["method"] in METHODS else "other"
                REQUESTS.labels(route, method, str(message["status"])).inc()
                SECONDS.labels(route).observe(perf_counter() - started)
            await send(message)

        await self._app(scope, receive, measuring_send)


def _template(scope: Scope) -> str:
    """Return the path of the matched route, which Starlette leaves in the scope."""
    route = scope.get("route")
    return route.path if isinstance(route, Route) else getattr(route, "path", "unknown")
