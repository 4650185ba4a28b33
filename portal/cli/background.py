"""The background processes by name, and what each is given. `portal run` runs all of them inside."""

import asyncio
from collections.abc import Awaitable, Callable

from portal.cli.wiring import Parts
from portal.core.bus import EVENTS, USAGE_RECORDED
from portal.core.errors import PortalError
from portal.core.logs import get_log
from portal.graphql.live import Publisher
from portal.usage import Courier
from workers import forget_answers, ingest_usage, keep_partitions, relay_outbox, ship_journal

Worker = Callable[[asyncio.Event], Awaitable[None]]


def background(parts: Parts, courier: Courier) -> dict[str, Worker]:
    """Every worker by its name. The bus is in-process: what is shipped here is ingested here."""
    parts.bus.subscribe(USAGE_RECORDED, ingest_usage.handler(parts.database, parts.limiter.raise_used))
    parts.bus.subscribe(EVENTS, parts.changes.relayed)
    parts.bus.subscribe(EVENTS, Publisher(parts.limiter).relayed)
    return {
        "ship_journal": lambda stop: ship_journal.run(courier, stop),
        "relay_outbox": lambda stop: relay_outbox.run(parts.database, parts.bus, stop),
        "forget_answers": lambda stop: forget_answers.run(parts.database, stop),
        "keep_partitions": lambda stop: keep_partitions.run(parts.database, stop),
    }


def make_courier(parts: Parts) -> Courier:
    return Courier(parts.settings.data / "journal", parts.bus, parts.settings.courier_batch)


async def run_workers(workers: dict[str, Worker], stop: asyncio.Event) -> None:
    """All until `stop`; one that fails unexpectedly is logged and started again."""
    await asyncio.gather(*[_keep_running(name, worker, stop) for name, worker in workers.items()])


def chosen(workers: dict[str, Worker], names: list[str]) -> dict[str, Worker]:
    """Those named, or all. Raises PortalError for an unknown name."""
    unknown = [name for name in names if name not in workers]
    if unknown:
        raise PortalError(f"There is no worker {unknown[0]!r}.", hint=f"There are: {', '.join(workers)}.")
    return {name: workers[name] for name in names} if names else workers


async def _keep_running(name: str, worker: Worker, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await worker(stop)
        except Exception:
            get_log(__name__).exception("worker_failed", worker=name)
            await asyncio.sleep(1)
