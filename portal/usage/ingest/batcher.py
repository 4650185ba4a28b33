"""Many deliveries, few transactions: whatever arrives while a transaction is under way goes into the next one.

No timer: an event on an idle system is counted at once, and the busier it is, the more share a transaction and the
buckets in it. Two at once, so that one is read and staged while the other is written.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime

from portal.core.clock import utc_now
from portal.core.database import Database, is_dependency_unavailable
from portal.core.logs import get_log
from portal.usage.ingest.ingest import IngestResult, ingest_batches
from portal.usage.ingest.resource_cap import ResourceNames
from portal.usage.records import count_in
from portal.usage.retention.retention import Retention, earliest_at

MAX_EVENTS = 20_000
TRANSACTIONS = 2
_log = get_log(__name__)

OnIngested = Callable[[IngestResult], Awaitable[None]]
Pending = tuple[bytes, int, "asyncio.Future[None]"]


class IngestBatcher:
    """`on_counted` hears of each committed transaction. The numbers count since the start."""

    def __init__(self, database: Database, on_counted: OnIngested, retention: Retention | None = None) -> None:
        self.batches = self.transactions = self.events = self.added = self.quarantined = self.failures = 0
        self.largest = 0
        self.lag_seconds = 0.0
        self.waiting_events = 0
        self._database = database
        self._on_counted = on_counted
        self._retention = retention
        self._names = ResourceNames()
        self._waiting: deque[Pending] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def add(self, batch: bytes) -> None:
        """Returns once the batch is committed. Raises what may work later."""
        done = asyncio.get_running_loop().create_future()
        count = count_in(batch)
        self._waiting.append((batch, count, done))
        self.waiting_events += count
        if len(self._running) < TRANSACTIONS:
            task = asyncio.create_task(self._work())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        await done

    async def _work(self) -> None:
        while self._waiting:
            taken = self._take()
            try:
                await self._count(taken)
            except Exception as error:
                self.failures += 1
                if len(taken) == 1 or is_dependency_unavailable(error):
                    _fail(taken, error)
                else:
                    await self._count_apart(taken)

    def _take(self) -> list[Pending]:
        """At least one; no more than MAX_EVENTS events where there are several."""
        taken: list[Pending] = []
        events = 0
        while self._waiting and (not taken or events + self._waiting[0][1] <= MAX_EVENTS):
            taken.append(self._waiting.popleft())
            events += taken[-1][1]
        self.waiting_events -= events
        return [one for one in taken if not one[2].cancelled()]

    async def _count(self, taken: list[Pending]) -> None:
        if not taken:
            return
        batches = [batch for batch, _, _ in taken]
        told = await ingest_batches(self._database, batches, self._names, earliest_at(utc_now(), self._retention))
        self._note(told, len(taken))
        await self._on_counted(told)
        for _, _, done in taken:
            if not done.done():
                done.set_result(None)

    async def _count_apart(self, taken: list[Pending]) -> None:
        """What fails together may be the fault of one: the others must not wait for it."""
        for one in taken:
            try:
                await self._count([one])
            except Exception as error:
                _fail([one], error)

    def _note(self, told: IngestResult, batches: int) -> None:
        self.batches += batches
        self.transactions += 1
        self.events += told.events
        self.added += told.added
        self.quarantined += told.quarantined
        self.largest = max(self.largest, told.events)
        if told.oldest is not None:
            self.lag_seconds = _seconds_since(told.oldest)


def _seconds_since(instant: datetime) -> float:
    return max(0.0, (utc_now() - instant).total_seconds())


def _fail(taken: list[Pending], error: Exception) -> None:
    for _, _, done in taken:
        with suppress(asyncio.InvalidStateError):
            done.set_exception(error)
