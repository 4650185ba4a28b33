"""`portal run`: everything in one command on embedded PostgreSQL and Valkey.

Order of the stop: no new connections, requests finish, the journal is shipped, workers end, then the servers. A kill -9
leaves the journal and both servers' files, and the next start goes on from there.
"""

import asyncio
import ipaddress
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from portal.cli.demo.seed import DemoCredentials, ensure_demo
from portal.cli.ready_file import panel, remove_ready_file, write_ready_file
from portal.core.embedded import EmbeddedServices, start_services
from portal.core.errors import PortalError
from portal.core.logs import configure_logs, get_log
from portal.core.settings import load_settings
from portal.runtime import (
    UsageMetrics,
    build_shipper,
    build_workers,
    expose_metrics,
    listen,
    open_container,
    open_web,
    prepare_database,
    running_server,
    running_workers,
    serve_metrics,
    tune_gc,
    url_of,
)
from web.app import create_app

_log = get_log(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    data: Path
    is_demo: bool
    ready_file: Path | None


def run(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 8000,
    data: Annotated[Path, typer.Option(help="Data folder.")] = Path(".portal"),
    demo: Annotated[bool, typer.Option("--demo", help="Add demo accounts, keys and usage. Loopback only.")] = False,
    ready_file: Annotated[Path | None, typer.Option(help="Gets addresses and credentials once it answers.")] = None,
) -> None:
    """Run the whole portal with its own PostgreSQL and Valkey. Ctrl-C stops everything; a kill -9 loses nothing."""
    if demo and not _is_loopback(host):
        raise PortalError(f"--demo only listens on loopback, and {host} is not.", hint="Leave out --host.")
    configure_logs("INFO")
    with listen(host, port) as sock:
        uvloop.run(_run(sock, Options(data, demo, ready_file)))


async def _run(sock: socket.socket, options: Options) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    services = await start_services(options.data)
    try:
        await prepare_database(services.database_url)
        await _serve(sock, services, options, stop)
    finally:
        await services.stop()
        _log.info("stopped")


async def _serve(sock: socket.socket, services: EmbeddedServices, options: Options, stop: asyncio.Event) -> None:
    settings = load_settings(
        database_url=services.database_url,
        redis_urls=list(services.redis_urls),
        data=options.data.expanduser().resolve(),
        base_url=url_of(sock),
        amqp_url=None,
    )
    async with open_container(settings) as container:
        shipper = build_shipper(container)
        demo = await ensure_demo(container, settings.data) if options.is_demo else None
        if demo is None:
            _warn_of_demo(settings.data)
        background = build_workers(container, shipper)
        async with running_workers(background.workers), open_web(container, shipper.wake) as web:
            with (
                expose_metrics(
                    UsageMetrics(background.shipper, background.batcher, background.monitor, container.broker)
                ),
                serve_metrics(settings),
            ):
                async with running_server(create_app(web), sock) as serving:
                    tune_gc()
                    stopping = asyncio.create_task(stop.wait())
                    _announce(settings.base_url, services, demo, options)
                    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
                    stopping.cancel()
                    _log.info("stopping")
                    if options.ready_file is not None:
                        remove_ready_file(options.ready_file)
                    web.connections.end_all()


def _announce(url: str, services: EmbeddedServices, demo: DemoCredentials | None, options: Options) -> None:
    document: dict[str, Any] = {
        "url": url,
        "pid": os.getpid(),
        "database_url": demo.database_url if demo else None,
        "redis_urls": list(services.redis_urls),
    }
    if demo is not None:
        document |= {"service_token": demo.service_token, "logins": demo.logins, "keys": demo.keys}
    typer.echo(panel(document))
    if options.ready_file is not None:
        write_ready_file(options.ready_file, document)


def _warn_of_demo(data: Path) -> None:
    if (data / "demo.json").exists():
        typer.echo(f"Note: {data} was started with --demo before, and its demo log-ins and keys still work.", err=True)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
