"""The background workers by name, and what each is given. `portal run` runs all of them inside its own process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from portal.check import build_settlement_handler
from portal.core.errors import PortalError
from portal.core.logs import get_log
from portal.core.messaging.bus import EVENTS, USAGE_RECORDED
from portal.graphql import Publisher
from portal.runtime.container import Container, journal_folder, retention_of
from portal.usage import IngestBatcher, JournalShipper
from workers import (
    end_overrides,
    finalize_invoices,
    ingest_usage,
    keep_partitions,
    number_invoices,
    purge_expired,
    purge_responses,
    relay_outbox,
    ship_journal,
    watch_usage,
)
from workers.watch_usage import UsageMonitor

WATCH = "watch_usage"
Worker = Callable[[asyncio.Event], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class WorkerSet:
    """Every worker by its name, and the parts whose figures /metrics shows."""

    workers: dict[str, Worker]
    shipper: JournalShipper
    batcher: IngestBatcher
    monitor: UsageMonitor


def build_workers(container: Container, shipper: JournalShipper) -> WorkerSet:
    """Build every worker and subscribe them to the container's buses.

    Without a broker there is no ingest worker: what the shipper sends is ingested in its own process.
    """
    retention = retention_of(container.settings)
    batcher = build_batcher(container)
    monitor = UsageMonitor(
        journal_folder(container.settings), container.database, container.broker, container.settings.invoice_grace
    )
    container.usage_bus.subscribe(USAGE_RECORDED, batcher.add)
    container.bus.subscribe(EVENTS, container.changes.handle_relayed)
    container.bus.subscribe(EVENTS, build_settlement_handler(container.limiter))
    container.bus.subscribe(EVENTS, Publisher(container.limiter).relayed)
    workers: dict[str, Worker] = {
        "ship_journal": lambda stop: ship_journal.run(shipper, stop),
        "relay_outbox": lambda stop: relay_outbox.run(container.database, container.bus, stop),
        "purge_expired": lambda stop: purge_expired.run(container.database, stop),
        "end_overrides": lambda stop: end_overrides.run(container.database, stop),
        "finalize_invoices": lambda stop: finalize_invoices.run(
            container.database, container.settings.invoice_grace, stop
        ),
        "number_invoices": lambda stop: number_invoices.run(container.database, container.settings.provider_zone, stop),
        "purge_responses": lambda stop: purge_responses.run(container.database, stop),
        "keep_partitions": lambda stop: keep_partitions.run(container.database, retention, stop),
        WATCH: lambda stop: watch_usage.run(monitor, stop),
    }
    if container.broker is not None:
        broker = container.broker
        workers["ingest_usage"] = lambda stop: ingest_usage.run(broker, stop)
    return WorkerSet(workers, shipper, batcher, monitor)


def subscribe_ingest(container: Container) -> None:
    """Ingest in this process what it ships, unless a broker takes it to the workers."""
    if container.broker is None:
        container.bus.subscribe(USAGE_RECORDED, build_batcher(container).add)


def build_batcher(container: Container) -> IngestBatcher:
    """Return what brings batches of usage records into PostgreSQL and raises the quota counters."""
    return IngestBatcher(
        container.database,
        container.limiter.raise_used,
        retention_of(container.settings),
        comes_again=container.broker is not None,
    )


def build_shipper(container: Container) -> JournalShipper:
    """Return the shipper of this node's journal."""
    settings = container.settings
    return JournalShipper(
        journal_folder(settings),
        container.usage_bus,
        settings.shipper_batch,
        keep_seconds=settings.journal_keep_hours * 3600,
    )


async def run_workers(workers: dict[str, Worker], stop: asyncio.Event) -> None:
    """Run all workers until `stop`; one that fails unexpectedly is logged and started again."""
    await asyncio.gather(*[_keep_running(name, worker, stop) for name, worker in workers.items()])


@asynccontextmanager
async def running_workers(workers: dict[str, Worker]) -> AsyncIterator[None]:
    """Run all workers in this loop for as long as the block lasts; they finish what they hold before it is left."""
    stop = asyncio.Event()
    working = asyncio.create_task(run_workers(workers, stop))
    try:
        yield
    finally:
        stop.set()
        await working


def select_workers(workers: dict[str, Worker], names: list[str]) -> dict[str, Worker]:
    """Return the named workers and the monitor, which every process has; without a name all of them.

    Raises PortalError for an unknown name.
    """
    unknown = [name for name in names if name not in workers]
    if unknown:
        raise PortalError(f"There is no worker {unknown[0]!r}.", hint=f"Choose from {', '.join(workers)}.")
    return {name: workers[name] for name in (*names, WATCH)} if names else workers


async def _keep_running(name: str, worker: Worker, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await worker(stop)
        except Exception:
            get_log(__name__).exception("worker_failed", worker=name)
            await asyncio.sleep(1)
