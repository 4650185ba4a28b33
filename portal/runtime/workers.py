"""The background processes by name, and what each is given. `portal run` runs all of them inside."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from portal.check import relayed_settlements
from portal.core.bus import EVENTS, USAGE_RECORDED
from portal.core.errors import PortalError
from portal.core.logs import get_log
from portal.graphql.live import Publisher
from portal.runtime.container import Parts, journal_folder, retention_of
from portal.usage import Courier, Merger
from workers import (
    end_overrides,
    finalize_invoices,
    ingest_usage,
    keep_partitions,
    relay_outbox,
    ship_journal,
    watch_usage,
)
from workers import purge_expired as delete_ended
from workers import purge_responses as forget_answers
from workers.watch_usage import Watch

WATCH = "watch_usage"
Worker = Callable[[asyncio.Event], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Background:
    """Every worker by its name, and what they tell of themselves."""

    workers: dict[str, Worker]
    courier: Courier
    merger: Merger
    watch: Watch


def background(parts: Parts, courier: Courier) -> Background:
    """Without a broker there is no ingest worker: what a courier ships is ingested in its own process."""
    retention = retention_of(parts.settings)
    merger = ingest_usage.merger(parts.database, parts.limiter.raise_used, retention)
    watch = Watch(journal_folder(parts.settings), parts.database, parts.broker, parts.settings.invoice_grace)
    parts.usage_bus.subscribe(USAGE_RECORDED, merger.add)
    parts.bus.subscribe(EVENTS, parts.changes.relayed)
    parts.bus.subscribe(EVENTS, relayed_settlements(parts.limiter))
    parts.bus.subscribe(EVENTS, Publisher(parts.limiter).relayed)
    workers: dict[str, Worker] = {
        "ship_journal": lambda stop: ship_journal.run(courier, stop),
        "relay_outbox": lambda stop: relay_outbox.run(parts.database, parts.bus, stop),
        "delete_ended": lambda stop: delete_ended.run(parts.database, stop),
        "end_overrides": lambda stop: end_overrides.run(parts.database, stop),
        "finalize_invoices": lambda stop: finalize_invoices.run(parts.database, parts.settings.invoice_grace, stop),
        "forget_answers": lambda stop: forget_answers.run(parts.database, stop),
        "keep_partitions": lambda stop: keep_partitions.run(parts.database, retention, stop),
        WATCH: lambda stop: watch_usage.run(watch, stop),
    }
    if parts.broker is not None:
        workers["ingest_usage"] = parts.broker.run
    return Background(workers, courier, merger, watch)


def subscribe_ingest(parts: Parts) -> None:
    """What this process ships it also ingests, unless a broker takes it to the workers."""
    if parts.broker is None:
        merger = ingest_usage.merger(parts.database, parts.limiter.raise_used, retention_of(parts.settings))
        parts.bus.subscribe(USAGE_RECORDED, merger.add)


def make_courier(parts: Parts) -> Courier:
    return Courier(journal_folder(parts.settings), parts.usage_bus, parts.settings.courier_batch)


async def run_workers(workers: dict[str, Worker], stop: asyncio.Event) -> None:
    """All until `stop`; one that fails unexpectedly is logged and started again."""
    await asyncio.gather(*[_keep_running(name, worker, stop) for name, worker in workers.items()])


def chosen(workers: dict[str, Worker], names: list[str]) -> dict[str, Worker]:
    """Those named with the watch, which every process has, or all. Raises PortalError for an unknown name."""
    unknown = [name for name in names if name not in workers]
    if unknown:
        raise PortalError(f"There is no worker {unknown[0]!r}.", hint=f"There are: {', '.join(workers)}.")
    return {name: workers[name] for name in (*names, WATCH)} if names else workers


async def _keep_running(name: str, worker: Worker, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await worker(stop)
        except Exception:
            get_log(__name__).exception("worker_failed", worker=name)
            await asyncio.sleep(1)
