"""Ingest: from records in a journal to committed buckets, by courier, in-process bus and the real worker's code."""

import random
import shutil
from collections.abc import Iterator
from itertools import islice
from time import perf_counter

from sqlalchemy import text

from bench.contender import Sample, WrongAnswers
from bench.world import World
from portal.check.request_ids import RequestIds
from portal.core.bus import USAGE_RECORDED, InProcessBus
from portal.core.clock import utc_now
from portal.core.settings import load_settings
from portal.limits import Limiter
from portal.usage import Courier, Journal, UsageRecord
from workers.ingest_usage import handler

EVENTS_A_SECOND = 20_000
ACCOUNTS, KEYS_EACH = 100, 10
RESOURCES = ("orders.list", "orders.create", "invoices.list", "search")
EVENTS = text("SELECT count(*) FROM usage_events")
CALLS = text("SELECT coalesce(sum(calls), 0) FROM usage_minutes")


class Ingest:
    name = "ingest"
    unit = "events/s"
    about = "journal, courier, in-process bus, COPY, buckets committed (no broker yet)"

    def __init__(self, world: World) -> None:
        self._world = world
        self._settings = load_settings(
            database_url=world.services.database_url, redis_urls=[world.redis_url], data=world.folder
        )

    async def measure(self, seconds: float) -> Sample:
        folder = self._world.folder / "ingest"
        shutil.rmtree(folder, ignore_errors=True)
        count = int(EVENTS_A_SECOND * seconds)
        journal = Journal(folder, segment_bytes=self._settings.journal_segment_bytes, sync_ms=200)
        journal.open()
        records = _records()
        while portion := list(islice(records, min(count, 1000))):
            journal.append(portion)
            count -= len(portion)
            if not count:
                break
        journal.close()
        return await self._ship(Courier(folder, bus := InProcessBus(), self._settings.courier_batch), bus)

    async def _ship(self, courier: Courier, bus: InProcessBus) -> Sample:
        limiter = Limiter([self._world.redis_url], 1000)
        await limiter.open()
        bus.subscribe(USAGE_RECORDED, handler(self._world.database, limiter.raise_used))
        before = await self._counted()
        begin = perf_counter()
        shipped = await courier.run_once()
        elapsed = perf_counter() - begin
        after = await self._counted()
        courier.close()
        await limiter.close()
        if {after[0] - before[0], after[1] - before[1]} != {shipped}:
            raise WrongAnswers(f"{shipped} events shipped, counted {before} before and {after} after")
        return Sample(shipped / elapsed, {"events": shipped, "seconds": elapsed})

    async def _counted(self) -> tuple[int, int]:
        async with self._world.database.transaction() as tx:
            events = await tx.find(EVENTS)
            calls = await tx.find(CALLS)
        return int(events), int(calls)


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
        )
