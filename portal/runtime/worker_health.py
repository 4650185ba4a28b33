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

from portal.core.concurrency.worker_loop import ROUNDS
from portal.core.errors import StartupError
from portal.core.messaging.bus import USAGE_RECORDED
from portal.core.settings import Settings
from portal.runtime.container import Container
from portal.runtime.server import HTTP_OPTIONS, Server, listen
from web.connection.protocol import HttpProtocol
from web.health import livez
from web.http import metrics_route

TIMEOUT_SECONDS = 2.0
INGEST = "ingest_usage"
READ_ONLY = "is read-only: nothing can be counted or changed"
BLOCKED = "takes no messages: it is short of memory or disk"
Probe = Callable[[], Awaitable[str | None]]
"""Returns what is wrong, None where nothing is."""


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
        app = _app(_probes(container, names), names)
        server = Server(uvicorn.Config(app, http=HttpProtocol, lifespan="off", **HTTP_OPTIONS))
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


def _app(probes: dict[str, Probe], names: list[str]) -> Starlette:
    async def readyz(request: Request) -> Response:
        found = dict(zip(probes, await asyncio.gather(*map(_run_probe, probes.values())), strict=True))
        reasons = {part: reason for part, reason in found.items() if reason is not None}
        loops = {name: ROUNDS[name].is_well for name in names if name in ROUNDS}
        is_ready = not reasons and all(loops.values())
        parts = {part: part not in reasons for part in probes}
        report = {"ready": is_ready, "parts": parts, "workers": loops, "reasons": reasons}
        return JSONResponse(report, 200 if is_ready else 503)

    async def not_found(request: Request, error: Exception) -> Response:
        return PlainTextResponse("Not found. There are /livez, /readyz and /metrics.\n", 404)

    routes = [Route("/livez", livez), Route("/readyz", readyz), metrics_route()]
    return Starlette(routes=routes, exception_handlers={404: not_found})


def _probes(container: Container, names: list[str]) -> dict[str, Probe]:
    """Return a probe for each service that these workers need."""

    async def postgresql() -> str | None:
        async with container.database.engine.connect() as connection:
            is_read_only = (await connection.execute(sql("SHOW transaction_read_only"))).scalar_one() == "on"
        return READ_ONLY if is_read_only else None

    async def broker() -> str | None:
        assert container.broker is not None  # noqa: S101 for the type checker
        if container.broker.is_blocked:
            return BLOCKED
        await container.broker.waiting(USAGE_RECORDED)
        is_consuming = INGEST not in names or all(consumer.is_consuming for consumer in container.broker.consumers)
        return None if is_consuming else "is not consumed from"

    probes: dict[str, Probe] = {"postgresql": postgresql}
    if container.broker is not None:
        probes["broker"] = broker
    return probes


async def _run_probe(probe: Probe) -> str | None:
    """Return what a probe says. An error is named without its text, which could hold an address with a password."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await probe()
    except Exception as error:
        return f"does not answer: {type(error).__name__}"
