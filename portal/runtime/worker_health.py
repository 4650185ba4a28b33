"""A small HTTP server beside the workers: /livez, /readyz and /metrics, for probes and Prometheus."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import uvicorn
from sqlalchemy import text as sql
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from portal.core.errors import StartupError
from portal.core.messaging.bus import USAGE_RECORDED
from portal.core.settings import Settings
from portal.runtime.container import Container
from portal.runtime.server import Server, listen
from web.health import livez, metrics

TIMEOUT_SECONDS = 2.0
INGEST = "ingest_usage"
Probe = Callable[[], Awaitable[bool]]


@asynccontextmanager
async def serve_health(container: Container, names: list[str]) -> AsyncIterator[None]:
    """Answer on PORTAL_WORKER_PORT for as long as the block lasts; do nothing where that is 0.

    Raises StartupError for a port in use.
    """
    settings = container.settings
    if not settings.worker_port:
        yield
        return
    with _listen(settings) as sock:
        app = _app(_probes(container, names))
        server = Server(uvicorn.Config(app, log_config=None, access_log=False, server_header=False, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        try:
            yield
        finally:
            server.should_exit = True
            await serving


def _listen(settings: Settings) -> socket.socket:
    try:
        return listen(settings.worker_host, settings.worker_port)
    except StartupError as error:
        hint = "Give each worker process its own PORTAL_WORKER_PORT."
        raise StartupError(error.message, hint=hint) from None


def _app(probes: dict[str, Probe]) -> Starlette:
    async def readyz(request: Request) -> Response:
        answers = dict(zip(probes, await asyncio.gather(*map(_is_ready, probes.values())), strict=True))
        is_ready = all(answers.values())
        return JSONResponse({"ready": is_ready, "parts": answers}, 200 if is_ready else 503)

    async def not_found(request: Request, error: Exception) -> Response:
        return PlainTextResponse("Not found. There are /livez, /readyz and /metrics.\n", 404)

    routes = [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]
    return Starlette(routes=routes, exception_handlers={404: not_found})


def _probes(container: Container, names: list[str]) -> dict[str, Probe]:
    """Return a probe for each service that these workers need."""

    async def postgresql() -> bool:
        async with container.database.engine.connect() as connection:
            await connection.execute(sql("SELECT 1"))
        return True

    async def broker() -> bool:
        assert container.broker is not None  # noqa: S101 for the type checker
        await container.broker.waiting(USAGE_RECORDED)
        return INGEST not in names or all(consumer.is_consuming for consumer in container.broker.consumers)

    probes: dict[str, Probe] = {"postgresql": postgresql}
    if container.broker is not None:
        probes["broker"] = broker
    return probes


async def _is_ready(probe: Probe) -> bool:
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await probe()
    except Exception:
        return False
