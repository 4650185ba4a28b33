"""The whole web process: the check lane bare and first, everything for browsers behind its middleware."""

from typing import Literal

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from web.check.routes import check_routes
from web.graphql.endpoint import graphql_routes
from web.health import HEALTH_ROUTES
from web.http import Assets, CollectMetrics, collect_here, metrics_route
from web.middleware import (
    EXCEPTION_HANDLERS,
    MIN_BYTES,
    CompressionMiddleware,
    CsrfMiddleware,
    ErrorMiddleware,
    MetricsMiddleware,
    SecurityHeadersMiddleware,
)
from web.routes import page_routes
from web.services import WebServices
from web.usage.events import metering_routes
from web.usage.export import export_route

Traffic = Literal["check", "portal"]


def create_app(
    services: WebServices, *, only: Traffic | None = None, collect: CollectMetrics = collect_here
) -> Starlette:
    """Build the app on services that exist; it starts and stops nothing. `only` leaves the other traffic out.

    `collect` is what /metrics shows; where metrics have a port of their own (PORTAL_METRICS_PORT) there is none here.
    """
    metrics = [] if services.settings.metrics_port else [metrics_route(collect)]
    checks = [] if only == "portal" else check_routes
    pages = [] if only == "check" else [Mount("", app=_for_browsers(services))]
    app = Starlette(routes=[*checks, *HEALTH_ROUTES, *metrics, *pages])
    app.state.services = services
    return app


def _for_browsers(services: WebServices) -> Starlette:
    app = Starlette(
        routes=[
            *graphql_routes,
            export_route(),
            *metering_routes,
            Mount("/static", app=Assets(), name="static"),
            *page_routes(),
            Route("/{path:path}", _nothing_here, name="nothing"),
        ],
        middleware=[
            Middleware(SecurityHeadersMiddleware, is_https=services.settings.is_https),
            Middleware(MetricsMiddleware),
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
