"""Whether this process lives, and whether it should get checks or pages."""

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy import text as sql
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from migrations.run import SchemaState, state_of
from web.services import WebServices, services_of

TIMEOUT_SECONDS = 2
OK = "ok"
"""How the report of a healthy part begins."""
Probe = Callable[[WebServices], Awaitable[str]]


async def livez(request: Request) -> Response:
    """Answer that the process lives; it depends on nothing else."""
    return PlainTextResponse("ok\n")


async def readyz_check(request: Request) -> Response:
    """Say whether checks may be sent here: the journal can be written, and the gateways' tokens were loaded once.

    An outage of PostgreSQL that begins later must not stop checks.
    """
    return await _respond(request, {"journal": _journal, "tokens": _tokens})


async def readyz_portal(request: Request) -> Response:
    """Say whether pages and GraphQL may be sent here."""
    return await _respond(request, {"postgresql": _postgresql, "migrations": _migrations, "redis": _redis})


async def _respond(request: Request, probes: dict[str, Probe]) -> Response:
    reports = await asyncio.gather(*(_run_probe(probe, services_of(request)) for probe in probes.values()))
    parts = dict(zip(probes, reports, strict=True))
    if services_of(request).budget.is_draining:
        parts["process"] = "stopping"
    is_ready = all(report.startswith(OK) for report in parts.values())
    status = 200 if is_ready else 503
    if "verbose" in request.query_params:
        return JSONResponse({"ready": is_ready, "parts": parts}, status)
    return PlainTextResponse("ok\n" if is_ready else "not ready, see ?verbose\n", status)


async def _run_probe(probe: Probe, services: WebServices) -> str:
    """Return what a probe says. An error is named without its text, which could hold an address with a password."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await probe(services)
    except Exception as error:
        return f"failed: {type(error).__name__}"


async def _journal(services: WebServices) -> str:
    return OK if services.checker.journal.is_writable else "not writable"


async def _tokens(services: WebServices) -> str:
    return OK if services.tokens.is_loaded else "not loaded: neither PostgreSQL nor Redis has told them yet"


async def _postgresql(services: WebServices) -> str:
    async with services.database.engine.connect() as connection:
        await connection.execute(sql("SELECT 1"))
    return OK


async def _migrations(services: WebServices) -> str:
    async with services.database.engine.connect() as connection:
        current = (await connection.execute(sql("SELECT version_num FROM alembic_version"))).scalar_one_or_none()
    state = state_of(current)
    if state is SchemaState.NEWER:
        return f"{OK}, of a later version"
    return OK if state is SchemaState.CURRENT else "not migrated: run `portal migrate`"


async def _redis(services: WebServices) -> str:
    """Report the shards. One that is away touches its own accounts only, no reason to take pages from all others."""
    answers = await services.checker.limiter.ping()
    away = [name for name, is_there in answers if not is_there]
    if len(away) == len(answers):
        return f"away: {', '.join(away)}"
    return f"{OK}, without {', '.join(away)}" if away else OK


HEALTH_ROUTES = [
    Route("/livez", livez),
    Route("/readyz/check", readyz_check),
    Route("/readyz/portal", readyz_portal),
]
