"""`portal serve`: HTTP processes against the configured services."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Literal

import typer
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from portal.cli.garbage import settle_garbage
from portal.cli.server import GRACE_SECONDS, MESSAGE_BYTES_MOST
from portal.cli.wiring import open_parts, open_web
from portal.core.logs import configure_logs
from portal.core.settings import load_settings
from web.app import create_app
from web.check.lane import Lane
from web.timed_http import TimedHttp

ONLY = "PORTAL_SERVE_ONLY"
"""How the supervising process tells its children; set by `serve`, not by people."""


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many processes.")] = 1,
    only: Annotated[str | None, typer.Option(help="check or portal: one kind of traffic only.")] = None,
) -> None:
    """Serve checks and pages from the configured PostgreSQL and Redis; run `portal worker` beside it."""
    if only not in {None, "check", "portal"}:
        raise typer.BadParameter("it is check or portal", param_hint="--only")
    load_settings()
    os.environ[ONLY] = only or ""
    uvicorn.run(
        "portal.cli.serve:make_app",
        factory=True,
        http=TimedHttp if only == "portal" else Lane,
        proxy_headers=False,
        host=host,
        port=port,
        workers=workers,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=MESSAGE_BYTES_MOST,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def make_app() -> Starlette:
    """The application of one process; its parts open when the server starts and close when it stops."""
    settings = load_settings()
    configure_logs(settings.log_level)
    only: Literal["check", "portal"] | None = os.environ.get(ONLY) or None  # type: ignore[assignment]  # set by serve()
    inner: list[Starlette] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            parts = await stack.enter_async_context(open_parts(settings))
            services = await stack.enter_async_context(open_web(parts))
            app.state.services = services
            inner.append(create_app(services, only=only))
            settle_garbage()
            yield

    async def delegate(scope: Scope, receive: Receive, send: Send) -> None:
        await inner[0](scope, receive, send)

    return Starlette(routes=[Mount("", app=delegate)], lifespan=lifespan)
