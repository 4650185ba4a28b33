"""`portal serve`: HTTP processes against the configured services."""

import asyncio
from contextlib import suppress
from typing import Annotated

import typer
import uvicorn

from portal.core.logs import configure_logs
from portal.core.settings import load_settings
from portal.runtime import Supervisor, bind, http_config, metrics_hub, require_migrated, serve_metrics, url_of

STARTUP_FAILURE = 3


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Number of processes.")] = 1,
    only: Annotated[
        str | None, typer.Option(metavar="check|portal", help="Serve only checks, or only pages and GraphQL.")
    ] = None,
) -> None:
    """Serve checks, GraphQL and pages from the configured PostgreSQL and Redis. Run `portal worker` beside it."""
    if only not in {None, "check", "portal"}:
        raise typer.BadParameter("must be check or portal", param_hint="--only")
    settings = load_settings()
    asyncio.run(require_migrated(settings.database_url.get_secret_value()))
    with bind(host, port) as sock:
        if workers > 1:
            configure_logs(settings.log_level)
            with metrics_hub() as (folder, collect), serve_metrics(settings, collect):
                Supervisor(http_config(url_of(sock), only, workers, folder), [sock]).run()
            return
        config = http_config(url_of(sock), only, workers)
        server = uvicorn.Server(config)
        with suppress(KeyboardInterrupt):
            server.run([sock])
        if not server.started:
            raise SystemExit(STARTUP_FAILURE)
