"""`portal serve`: HTTP processes against the configured services."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Annotated

import typer
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send
from uvicorn.supervisors import Multiprocess

from portal.cli.target import describe_services
from portal.core.logs import configure_logs, get_log
from portal.core.settings import load_settings
from portal.runtime.container import open_container, open_web
from portal.runtime.gc_tuning import tune_gc
from portal.runtime.server import GRACE_SECONDS, MAX_MESSAGE_BYTES, bind, url_of
from web.app import create_app
from web.check.protocol import CheckProtocol
from web.middleware.timeouts import TimeoutHttpProtocol

SERVE = "PORTAL_SERVE"
"""What the supervising process tells its children, as JSON; set by `serve`, not by people."""
STARTUP_FAILURE = 3


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
    with bind(host, port) as sock:
        os.environ[SERVE] = json.dumps({"only": only, "url": url_of(sock), "processes": workers})
        config = _config(only, workers)
        if workers > 1:
            Multiprocess(config, [sock]).run()
            return
        server = uvicorn.Server(config)
        with suppress(KeyboardInterrupt):
            server.run([sock])
        if not server.started:
            raise SystemExit(STARTUP_FAILURE)


def _config(only: str | None, workers: int) -> uvicorn.Config:
    return uvicorn.Config(
        "portal.cli.commands.serve:make_app",
        factory=True,
        http=TimeoutHttpProtocol if only == "portal" else CheckProtocol,
        proxy_headers=False,
        workers=workers,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def make_app() -> Starlette:
    """The application of one process; its parts open when the server starts and close when it stops."""
    settings = load_settings()
    configure_logs(settings.log_level)
    told = json.loads(os.environ[SERVE])
    inner: list[Starlette] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            container = await stack.enter_async_context(open_container(settings))
            services = await stack.enter_async_context(open_web(container))
            app.state.services = services
            inner.append(create_app(services, only=told["only"]))
            tune_gc()
            get_log(__name__).info("serving", pid=os.getpid(), **told, **describe_services(settings))
            yield

    async def delegate(scope: Scope, receive: Receive, send: Send) -> None:
        await inner[0](scope, receive, send)

    return Starlette(routes=[Mount("", app=delegate)], lifespan=lifespan)
