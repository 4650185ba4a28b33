"""Ingest as in production: journal, shipper process, RabbitMQ, ingest process, committed rows, buckets and totals.

Two figures a round. How many events a second are counted when all of them are journalled at once; and how far the
counted lags behind the journalled when STEADY events a second are journalled, the age of the oldest one not counted.
"""

import asyncio
import random
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from time import perf_counter

from sqlalchemy import text

from bench.contender import Sample, WrongAnswers
from bench.processes import Launch, Processes, free_port
from bench.world import World
from portal.check.request_ids import RequestIds
from portal.core.clock import utc_now
from portal.usage import Journal, UsageRecord
from tests.broker.private import PrivateBroker

BATCH_SIZE = 60_000
"""Events for each second of a measurement."""
STEADY = 30_000
APPEND = 300
TIMEOUT_SECONDS = 120.0
ACCOUNTS, KEYS_EACH = 100, 10
RESOURCES = ("orders.list", "orders.create", "invoices.list", "search")
PORTAL = "from portal.cli import main; main()"
WORKERS = {"ship": ["ship_journal"], "ingest": ["ingest_usage"]}
EVENTS = text("SELECT count(*) FROM usage_events")
CALLS = text("SELECT coalesce(sum(calls), 0)::bigint FROM usage_minutes")
USED = text("SELECT coalesce(sum(used), 0)::bigint FROM usage_periods")


class Ingest:
    name = "ingest"
    unit = "events/s"
    about = "journal, shipper, RabbitMQ (quorum queue, confirms), ingest worker, rows and buckets committed"

    def __init__(self, world: World) -> None:
        self._world = world

    async def measure(self, seconds: float) -> Sample:
        records = list(islice(_records(), int(BATCH_SIZE * seconds)))
        steady = list(islice(_records(), int(STEADY * seconds)))
        async with self._workers() as folder:
            journal = Journal(folder / "journal", segment_bytes=16 << 20, sync_ms=200)
            journal.open()
            before = await self._counted()
            elapsed, _ = await self._feed(journal, records, None)
            _, lag = await self._feed(journal, steady, STEADY)
            after = await self._counted()
            journal.close()
        fed = len(records) + len(steady)
        if {counted - known for counted, known in zip(after, before, strict=True)} != {fed}:
            raise WrongAnswers(f"{fed} events journalled, counted {before} before and {after} after")
        details = {"events": len(records), "seconds": elapsed, "steady": STEADY, "lag_seconds": lag}
        return Sample(len(records) / elapsed, details)

    async def _feed(self, journal: Journal, records: Sequence[UsageRecord], rate: int | None) -> tuple[float, float]:
        """Seconds until all are counted, and the longest lag seen on the way."""
        before, begin, lag = (await self._counted())[2], perf_counter(), 0.0
        appended: list[float] = []
        feeding = asyncio.create_task(_append(journal, records, rate, appended))
        counted = 0
        while counted < len(records):
            counted = await self._used() - before
            now = perf_counter()
            if counted < len(appended) * APPEND:
                lag = max(lag, now - appended[counted // APPEND])
            if now - begin > TIMEOUT_SECONDS:
                raise WrongAnswers(f"{counted} of {len(records)} events counted within {TIMEOUT_SECONDS} s")
            await asyncio.sleep(0.05)
        elapsed = perf_counter() - begin
        await feeding
        return elapsed, lag

    @asynccontextmanager
    async def _workers(self) -> AsyncIterator[Path]:
        """On a broker and a journal of their own, gone afterwards."""
        folder = self._world.folder / "ingest"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        broker = PrivateBroker(folder / "broker")
        try:
            await broker.start()
            with Processes(folder) as processes:
                for name, names in WORKERS.items():
                    await processes.start(self._launch(name, names, folder, broker.url))
                yield folder
        finally:
            await broker.stop()

    def _launch(self, name: str, names: Sequence[str], folder: Path, amqp_url: str) -> Launch:
        port = free_port()
        environment = {
            "PORTAL_DATABASE_URL": self._world.services.database_url,
            "PORTAL_REDIS_URLS": self._world.redis_url,
            "PORTAL_DATA": str(folder),
            "PORTAL_AMQP_URL": amqp_url,
            "PORTAL_LOG_LEVEL": "WARNING",
            "PORTAL_WORKER_PORT": str(port),
        }
        return Launch(name, [sys.executable, "-c", PORTAL, "worker", *names], Path.cwd(), port, environment)

    async def _used(self) -> int:
        async with self._world.database.transaction() as tx:
            return await tx.get(USED, returns=int)

    async def _counted(self) -> tuple[int, int, int]:
        async with self._world.database.transaction() as tx:
            return await tx.get(EVENTS, returns=int), await tx.get(CALLS, returns=int), await tx.get(USED, returns=int)


async def _append(journal: Journal, records: Sequence[UsageRecord], rate: int | None, appended: list[float]) -> None:
    """By APPEND records, as a busy process does in a turn of its loop; notes when each was due."""
    begin = perf_counter()
    for at in range(0, len(records), APPEND):
        due = begin + at / rate if rate else perf_counter()
        await asyncio.sleep(max(0.0, due - perf_counter()))
        journal.append(records[at : at + APPEND])
        appended.append(due)


def _records() -> Iterator[UsageRecord]:
    """As the check writes them, of accounts of their own."""
    ids, draw, period = RequestIds(), random.Random(4), f"{utc_now():%Y-%m}"  # noqa: S311 the same load, not a secret
    while True:
        account, key, resource = draw.randrange(ACCOUNTS), draw.randrange(KEYS_EACH), draw.choice(RESOURCES)
        yield UsageRecord(
            ids.next(ids.now_us()),
            f"acct_{account:026d}",
            f"key_{account * KEYS_EACH + key:026d}",
            f"sec_{account * KEYS_EACH + key:026d}",
            "live",
            resource,
            "VALID",
            1,
            period,
            "203.0.113.7",
        )
