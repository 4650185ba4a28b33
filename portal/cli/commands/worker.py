"""`portal worker`: the background processes against the configured services."""

import asyncio
import signal
from typing import Annotated

import typer
import uvloop

from portal.core.logs import configure_logs, get_log
from portal.core.settings import Settings, load_settings
from portal.runtime import (
    JournalMetrics,
    UsageMetrics,
    build_shipper,
    build_workers,
    describe_services,
    expose_metrics,
    journal_folder,
    open_container,
    require_migrated,
    run_workers,
    select_workers,
    serve_health,
)


def worker(
    names: Annotated[list[str] | None, typer.Argument(help="Workers to run; all of them by default.")] = None,
) -> None:
    """Run background workers until Ctrl-C: ship_journal, ingest_usage, relay_outbox, keep_partitions and others.

    Any number of processes may run them. Without PORTAL_AMQP_URL, ship_journal also ingests what it ships.
    """
    settings = load_settings()
    configure_logs(settings.log_level)
    uvloop.run(_work(settings, names or []))


async def _work(settings: Settings, names: list[str]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await require_migrated(settings.database_url.get_secret_value())
    async with open_container(settings) as container:
        built = build_workers(container, build_shipper(container))
        workers = select_workers(built.workers, names)
        with expose_metrics(
            UsageMetrics(built.shipper, built.batcher, built.monitor, container.broker),
            JournalMetrics(journal_folder(settings)),
        ):
            async with serve_health(container, [*workers]):
                get_log(__name__).info("workers_started", workers=[*workers], **describe_services(settings))
                stopping = asyncio.create_task(_log_stop(stop))
                await run_workers(workers, stop)
                await stopping
        get_log(__name__).info("workers_stopped")


async def _log_stop(stop: asyncio.Event) -> None:
    await stop.wait()
    get_log(__name__).info("workers_stopping")
