"""What /metrics says about a process itself: its build, its event loop, its database pool, its workers' rounds."""

import asyncio
import platform
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from time import monotonic

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from portal.core.concurrency.worker_loop import ROUNDS
from portal.core.database import Database
from portal.runtime.metrics.families import ProcessCollector, cumulative_buckets

LAG_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
SAMPLE_SECONDS = 0.25


class LoopLag:
    """How late the event loop wakes a sleeper, four times a second. `buckets` as in a route's counters."""

    def __init__(self) -> None:
        self.buckets = [0] * (len(LAG_SECONDS) + 1)
        self.seconds = 0.0

    @asynccontextmanager
    async def measuring(self) -> AsyncIterator[None]:
        """Measure for as long as the block lasts."""
        task = asyncio.create_task(self._measure())
        try:
            yield
        finally:
            task.cancel()

    async def _measure(self) -> None:
        while True:
            due = monotonic() + SAMPLE_SECONDS
            await asyncio.sleep(SAMPLE_SECONDS)
            lag = max(0.0, monotonic() - due)
            self.seconds += lag
            self.buckets[bisect_left(LAG_SECONDS, lag)] += 1


class ProcessMetrics(ProcessCollector):
    """One process, whatever it does."""

    def __init__(self, database: Database, lag: LoopLag) -> None:
        self._database = database
        self._lag = lag

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family with its present values."""
        build = GaugeMetricFamily("portal_build_info", "1; what runs here.", labels=["version", "python"])
        build.add_metric([version("api-key-portal"), platform.python_version()], 1)
        yield build
        lag = HistogramMetricFamily(
            "portal_event_loop_lag_seconds", "How late the event loop ran what was due, sampled 4 times a second."
        )
        lag.add_metric([], cumulative_buckets(LAG_SECONDS, self._lag.buckets), self._lag.seconds)
        yield lag
        yield from self._pool()
        yield from self._rounds()

    def _pool(self) -> Iterator[Metric]:
        usage = self._database.pool_usage()
        connections = GaugeMetricFamily(
            "portal_database_connections", "Connections to PostgreSQL of this process.", labels=["state"]
        )
        connections.add_metric(["in_use"], usage.in_use)
        connections.add_metric(["idle"], usage.idle)
        yield connections
        yield GaugeMetricFamily(
            "portal_database_connections_max", "Connections that this process may open.", usage.most
        )

    def _rounds(self) -> Iterator[Metric]:
        succeeded = GaugeMetricFamily(
            "portal_worker_last_success_timestamp_seconds",
            "When a worker last did all that was due (Unix time); NaN: not since the start.",
            labels=["worker"],
        )
        failed = CounterMetricFamily("portal_worker_failures", "Rounds of a worker that failed.", labels=["worker"])
        for name, rounds in dict(ROUNDS).items():
            succeeded.add_metric([name], rounds.succeeded_at)
            failed.add_metric([name], rounds.failure_count)
        yield from (succeeded, failed)
