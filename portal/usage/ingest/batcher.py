"""Many deliveries, few transactions: whatever arrives while a transaction is under way goes into the next one.

No timer: an event on an idle system is counted at once, and the busier it is, the more share a transaction and the
buckets in it. Two at once, so that one is read and staged while the other is written.
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from portal.core.clock import utc_now
from portal.core.database import Database
from portal.core.outages.database_errors import is_dependency_unavailable
from portal.usage.ingest.ingest_usage import IngestResult, ingest_batches
from portal.usage.ingest.resource_cap import ResourceCap
from portal.usage.ingest.sync_quota_counters import RaiseUsed, sync_quota_counters
from portal.usage.records import count_in, first_at
from portal.usage.retention import Retention, earliest_at

MAX_EVENTS = 20_000
TRANSACTIONS = 2
FORGET_SECONDS = 60.0
"""A batch that failed and was not brought again for so long is another process's by now."""


@dataclass(frozen=True, slots=True)
class _Delivery:
    """A batch, the number of events in it, and who waits for its commit."""

    batch: bytes
    events: int
    done: "asyncio.Future[None]"


@dataclass(slots=True)
class _Uncounted:
    """A batch that is not counted: when its first event occurred, and when it failed last (monotonic)."""

    occurred_at: datetime
    failed_at: float | None = None


class IngestBatcher:
    """Everything that one process ingests goes through one of these. The numbers count since the start.

    Without a retention no event is too late. `comes_again`: who brings a batch holds it until it is counted, as a
    broker's consumer does. A journal's shipper does not: it reads the records again, in other batches.
    """

    def __init__(
        self,
        database: Database,
        raise_used: RaiseUsed,
        retention: Retention | None = None,
        *,
        comes_again: bool = True,
    ) -> None:
        self.batches = self.transactions = self.events = self.added = self.quarantined = self.failures = 0
        self.largest = 0
        self.lag_seconds = 0.0
        self.waiting_events = 0
        self._database = database
        self._raise_used = raise_used
        self._retention = retention
        self._comes_again = comes_again
        self._cap = ResourceCap()
        self._waiting: deque[_Delivery] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._uncounted: dict[int, _Uncounted] = {}

    async def add(self, batch: bytes) -> None:
        """Count a batch; returns once it is committed. Raises what may work later."""
        name, occurred_at = hash(batch), first_at(batch)
        if occurred_at is not None:
            self._uncounted[name] = _Uncounted(occurred_at)
        try:
            await self._add(batch)
        except Exception:
            if not self._comes_again:
                self._uncounted.pop(name, None)
            elif name in self._uncounted:
                self._uncounted[name].failed_at = monotonic()
            raise
        self._uncounted.pop(name, None)

    def oldest_seconds(self) -> float:
        """Return the age, now, of the oldest event that was brought here and is not counted; 0 where there is none.

        What failed counts as well where it comes again; a shipper's is in its journal, whose age is known there.
        """
        forgotten = monotonic() - FORGET_SECONDS
        waiting = [*self._uncounted.items()]
        for name, batch in waiting:
            if batch.failed_at is not None and batch.failed_at < forgotten:
                self._uncounted.pop(name, None)
        times = [batch.occurred_at for _, batch in waiting if batch.failed_at is None or batch.failed_at >= forgotten]
        return max(0.0, (utc_now() - min(times)).total_seconds()) if times else 0.0

    async def _add(self, batch: bytes) -> None:
        delivery = _Delivery(batch, count_in(batch), asyncio.get_running_loop().create_future())
        self._waiting.append(delivery)
        self.waiting_events += delivery.events
        if len(self._running) < TRANSACTIONS:
            task = asyncio.create_task(self._work())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        await delivery.done

    async def _work(self) -> None:
        while self._waiting:
            deliveries = self._take()
            try:
                await self._count(deliveries)
            except Exception as error:
                self.failures += 1
                if len(deliveries) == 1 or is_dependency_unavailable(error):
                    _fail(deliveries, error)
                else:
                    await self._count_apart(deliveries)

    def _take(self) -> list[_Delivery]:
        """Take at least one delivery; no more than MAX_EVENTS events where there are several."""
        deliveries: list[_Delivery] = []
        events = 0
        while self._waiting and (not deliveries or events + self._waiting[0].events <= MAX_EVENTS):
            deliveries.append(self._waiting.popleft())
            events += deliveries[-1].events
        self.waiting_events -= events
        return [delivery for delivery in deliveries if not delivery.done.cancelled()]

    async def _count(self, deliveries: list[_Delivery]) -> None:
        if not deliveries:
            return
        batches = [delivery.batch for delivery in deliveries]
        result = await ingest_batches(self._database, batches, self._cap, earliest_at(utc_now(), self._retention))
        self._add_to_counters(result, len(deliveries))
        await sync_quota_counters(self._raise_used, result.totals)
        for delivery in deliveries:
            if not delivery.done.done():
                delivery.done.set_result(None)

    async def _count_apart(self, deliveries: list[_Delivery]) -> None:
        """Count each by itself: what fails together may be the fault of one, and the others must not wait for it."""
        for delivery in deliveries:
            try:
                await self._count([delivery])
            except Exception as error:
                _fail([delivery], error)

    def _add_to_counters(self, result: IngestResult, batches: int) -> None:
        self.batches += batches
        self.transactions += 1
        self.events += result.events
        self.added += result.added
        self.quarantined += result.quarantined
        self.largest = max(self.largest, result.events)
        if result.oldest is not None:
            self.lag_seconds = max(0.0, (utc_now() - result.oldest).total_seconds())


def _fail(deliveries: list[_Delivery], error: Exception) -> None:
    for delivery in deliveries:
        with suppress(asyncio.InvalidStateError):
            delivery.done.set_exception(error)
