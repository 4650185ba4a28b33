"""`portal worker`: the background processes against the configured services."""

import asyncio
import signal
from typing import Annotated

import typer
import uvloop

from portal.cli.target import describe_services
from portal.core.logs import configure_logs, get_log
from portal.core.settings import Settings, load_settings
from portal.runtime.check_metrics import shown
from portal.runtime.container import open_container
from portal.runtime.usage_metrics import UsageMetrics
from portal.runtime.worker_health import served_health
from portal.runtime.workers import build_shipper, build_workers, chosen, run_workers


def worker(
    names: Annotated[list[str] | None, typer.Argument(help="Which ones; all when none is named.")] = None,
) -> None:
    """Run background workers until Ctrl-C: ship_journal, ingest_usage, relay_outbox, keep_partitions and others.

    Any number of processes may run them. Without PORTAL_AMQP_URL ship_journal ingests by itself.
    """
    settings = load_settings()
    configure_logs(settings.log_level)
    uvloop.run(_work(settings, names or []))


async def _work(settings: Settings, names: list[str]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_container(settings) as container:
        behind = build_workers(container, build_shipper(container))
        workers = chosen(behind.workers, names)
        with shown(UsageMetrics(behind, container.broker)):
            async with served_health(container, [*workers]):
                get_log(__name__).info("workers_started", workers=[*workers], **describe_services(settings))
                await run_workers(workers, stop)
