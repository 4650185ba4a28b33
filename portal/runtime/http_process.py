"""The HTTP processes of `portal serve`: uvicorn's options for them, and the application of each child process."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from portal.core.logs import configure_logs, get_log
from portal.core.settings import load_settings
from portal.runtime.container import describe_services, open_container, open_web
from portal.runtime.draining import drain_before_stop
from portal.runtime.gc_tuning import tune_gc
from portal.runtime.metrics import answer_hub, collect_from_hub, serve_metrics
from portal.runtime.server import HTTP_OPTIONS
from portal.runtime.supervisor import end_with_parent
from web.app import create_app
from web.check.protocol import CheckProtocol
from web.connection.protocol import HttpProtocol
from web.http import collect_here

SERVE = "PORTAL_SERVE"
"""Carries JSON from the supervising process to its children; set by `http_config`, not by people."""


def http_config(url: str, only: str | None, processes: int, hub: Path | None = None) -> uvicorn.Config:
    """Return the configuration of `processes` children that answer at `url`; `only` is "check", "portal" or None.

    `hub` is the folder where several tell one another their metrics. Puts what the children must know into this
    process's environment, which they inherit.
    """
    served = {"only": only, "url": url, "processes": processes}
    os.environ[SERVE] = json.dumps({**served, "hub": str(hub) if hub else None, "parent": os.getpid()})
    return uvicorn.Config(
        "portal.runtime.http_process:make_app",
        factory=True,
        http=HttpProtocol if only == "portal" else CheckProtocol,
        workers=processes,
        **HTTP_OPTIONS,
    )


def make_app() -> Starlette:
    """Return the application of one process; its parts open when the server starts and close when it stops."""
    settings = load_settings()
    configure_logs(settings.log_level)
    served = json.loads(os.environ[SERVE])
    hub, parent = served.pop("hub"), served.pop("parent")
    if parent != os.getpid():
        end_with_parent(parent)
    inner: list[Starlette] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            container = await stack.enter_async_context(open_container(settings))
            services = await stack.enter_async_context(open_web(container))
            app.state.services = services
            app.state.connection_budget = services.budget
            if hub is None:
                stack.enter_context(serve_metrics(settings))
            else:
                stack.enter_context(answer_hub(Path(hub)))
            collect = partial(collect_from_hub, Path(hub)) if hub else collect_here
            inner.append(create_app(services, only=served["only"], collect=collect))
            tune_gc()
            connections = services.budget.capacity
            with drain_before_stop(services.budget, settings.drain_seconds):
                get_log(__name__).info(
                    "serving", pid=os.getpid(), connections=connections, **served, **describe_services(settings)
                )
                yield
        get_log(__name__).info("stopped", pid=os.getpid())

    async def delegate(scope: Scope, receive: Receive, send: Send) -> None:
        await inner[0](scope, receive, send)

    return Starlette(routes=[Mount("", app=delegate)], lifespan=lifespan)
