"""The whole web process: the check lane bare and first, everything for browsers behind its middleware."""

from typing import Literal

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from web.assets import Assets
from web.check import check_routes
from web.failures import EXCEPTION_HANDLERS, Failures
from web.graphql import graphql_routes
from web.headers import Headers
from web.health import HEALTH_ROUTES
from web.measure import Measure
from web.metering import metering_routes
from web.routes import page_routes
from web.services import WebServices
from web.usage_export import PATH as EXPORT_PATH
from web.usage_export import export_route

Only = Literal["check", "portal"]


def create_app(services: WebServices, *, only: Only | None = None) -> Starlette:
    """Everything it needs was built before; it starts and stops nothing. `only` leaves the other traffic out."""
    checks = [] if only == "portal" else check_routes
    pages = [] if only == "check" else [Mount("", app=_for_browsers(services))]
    app = Starlette(routes=[*checks, *HEALTH_ROUTES, *pages])
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
            Middleware(Headers, is_https=services.settings.is_https),
            Middleware(Measure),
            Middleware(Compress, minimum_size=600),
            Middleware(Failures),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    app.state.services = services
    return app


class Compress(GZipMiddleware):
    """All but exports: squeezing gigabytes in the loop would hold up everybody else."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_export = scope["type"] == "http" and scope["path"] == EXPORT_PATH
        await (self.app if is_export else super().__call__)(scope, receive, send)


async def _nothing_here(request: Request) -> Response:
    raise HTTPException(404)
