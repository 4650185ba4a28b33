"""`portal run`: everything in one command on embedded PostgreSQL and Valkey.

Order of the stop: no new connections, requests finish, the journal is shipped, workers end, then the servers. A kill -9
leaves the journal and both servers' files, and the next start goes on from there.
"""

import asyncio
import ipaddress
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from portal.cli.commands.migrate import prepare_database
from portal.cli.demo.seed import DemoCredentials, ensure_demo
from portal.cli.ready_file import panel, remove_ready_file, write_ready_file
from portal.core.embedded import EmbeddedServices, start_services
from portal.core.errors import PortalError
from portal.core.logs import configure_logs
from portal.core.settings import load_settings
from portal.runtime.check_metrics import shown
from portal.runtime.container import Container, open_container, open_web
from portal.runtime.gc_tuning import tune_gc
from portal.runtime.server import listen, make_server, url_of
from portal.runtime.usage_metrics import UsageMetrics
from portal.runtime.workers import build_shipper, build_workers, run_workers
from portal.usage import JournalShipper
from web.app import create_app


@dataclass(frozen=True, slots=True)
class Options:
    data: Path
    is_demo: bool
    ready_file: Path | None


def run(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 8000,
    data: Annotated[Path, typer.Option(help="Folder that keeps everything.")] = Path(".portal"),
    demo: Annotated[bool, typer.Option("--demo", help="With demo accounts, keys and usage; loopback only.")] = False,
    ready_file: Annotated[Path | None, typer.Option(help="Where to write the facts once it answers.")] = None,
) -> None:
    """Run the whole portal on embedded PostgreSQL and Valkey. Ctrl-C stops it; a kill -9 loses nothing."""
    if demo and not _is_loopback(host):
        raise PortalError(f"--demo has public passwords and refuses {host}.", hint="Leave --host away.")
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
        async with _in_background(container, shipper), open_web(container, shipper.wake) as web:
            server = make_server(create_app(web))
            tune_gc()
            serving = asyncio.create_task(server.serve(sockets=[sock]))
            stopping = asyncio.create_task(stop.wait())
            _announce(settings.base_url, services, demo, options)
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if options.ready_file is not None:
                remove_ready_file(options.ready_file)
            web.connections.end_all()
            server.should_exit = True
            await serving
            stopping.cancel()


@asynccontextmanager
async def _in_background(container: Container, shipper: JournalShipper) -> AsyncIterator[None]:
    """Workers beside the server; when it has stopped, what it journalled is still shipped."""
    stop = asyncio.Event()
    behind = build_workers(container, shipper)
    working = asyncio.create_task(run_workers(behind.workers, stop))
    try:
        with shown(UsageMetrics(behind, container.broker)):
            yield
    finally:
        stop.set()
        await working


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
        typer.echo(f"Note: {data} was started with --demo before; its demo log-ins and keys still work.", err=True)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
