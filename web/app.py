"""The whole web process: the check lane bare and first, everything for browsers behind its middleware."""

from typing import Literal

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Mount, Route
from starlette.types import Scope

from web.check import replies
from web.check.routes import AnyMethod, check_routes, response_of
from web.graphql.endpoint import graphql_routes
from web.health import HEALTH_ROUTES
from web.http import Assets, CollectMetrics, collect_here, metrics_route
from web.middleware import (
    EXCEPTION_HANDLERS,
    MIN_BYTES,
    NOTHING,
    CompressionMiddleware,
    CorsMiddleware,
    CsrfMiddleware,
    ErrorMiddleware,
    MetricsMiddleware,
    SecurityHeadersMiddleware,
    TrustedProxiesMiddleware,
)
from web.routes import page_routes
from web.services import WebServices
from web.usage.events import metering_routes
from web.usage.export import export_route

Traffic = Literal["check", "portal"]


class _Otherwise(Route):
    """Takes an address that no other route has, whatever its methods: what has it may say 405 itself."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        return (Match.PARTIAL if match is Match.FULL else match), child_scope


def create_app(
    services: WebServices, *, only: Traffic | None = None, collect: CollectMetrics = collect_here
) -> Starlette:
    """Build the app on services that exist; it starts and stops nothing. `only` leaves the other traffic out.

    `collect` is what /metrics shows; where metrics have a port of their own (PORTAL_METRICS_PORT) there is none here.
    """
    metrics = [] if services.settings.metrics_port else [metrics_route(collect)]
    checks = [] if only == "portal" else check_routes
    nothing = _Otherwise("/{path:path}", AnyMethod(_no_check))
    rest = nothing if only == "check" else Mount("", app=_for_browsers(services))
    proxies = Middleware(TrustedProxiesMiddleware, proxies=services.settings.proxies)
    app = Starlette(routes=[*checks, *HEALTH_ROUTES, *metrics, rest], middleware=[proxies])
    app.state.services = services
    app.state.connection_budget = services.budget
    return app


def _for_browsers(services: WebServices) -> Starlette:
    app = Starlette(
        routes=[
            *graphql_routes,
            export_route(),
            *metering_routes,
            Mount("/static", app=Assets(), name="static"),
            *page_routes(),
            _Otherwise("/{path:path}", AnyMethod(_nothing_here), name=NOTHING),
        ],
        middleware=[
            Middleware(SecurityHeadersMiddleware, is_https=services.settings.is_https),
            Middleware(MetricsMiddleware),
            Middleware(CorsMiddleware, has_origins=bool(services.settings.allowed_origins)),
            Middleware(CompressionMiddleware, minimum_size=MIN_BYTES),
            Middleware(ErrorMiddleware),
            Middleware(CsrfMiddleware),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.state.services = services
    return app


async def _nothing_here(request: Request) -> Response:
    raise HTTPException(404)


async def _no_check(request: Request) -> Response:
    return response_of(replies.problem(404, "Not found", "There is no such address here; checks are at /check."))
