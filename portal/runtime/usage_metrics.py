"""What /metrics says about usage on its way: journal, broker, ingest, quarantine. Plain integers, read when scraped."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from portal.core.rabbit import RabbitBus
from portal.runtime.workers import WorkerSet

COUNTERS = {
    "batches": "Batches ingested.",
    "transactions": "Transactions that ingested them; batches divided by this shows how well they merge.",
    "events": "Events in those batches, duplicates included.",
    "added": "Events that were new.",
    "quarantined": "Events and batches put into the quarantine.",
    "failures": "Transactions that failed and are retried.",
}


class UsageMetrics(Collector):
    """The usage of one process; what piles up outside of it, as its monitor last saw it."""

    def __init__(self, workers: WorkerSet, broker: RabbitBus | None) -> None:
        self._shipper = workers.shipper
        self._batcher = workers.batcher
        self._monitor = workers.monitor
        self._broker = broker

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that several may be registered in one process, as in tests."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family with its present values."""
        yield CounterMetricFamily("portal_journal_shipped", "Records confirmed by the bus.", self._shipper.shipped)
        yield CounterMetricFamily("portal_journal_damaged", "Journal segments found damaged.", self._shipper.damaged)
        for name, about in COUNTERS.items():
            yield CounterMetricFamily(f"portal_ingest_{name}", about, getattr(self._batcher, name))
        yield _gauge(
            "portal_ingest_lag_seconds", "Age of the oldest event of the last transaction.", self._batcher.lag_seconds
        )
        yield _gauge(
            "portal_ingest_lag_events",
            "Events that this process holds and has not counted yet.",
            self._batcher.waiting_events,
        )
        yield _gauge("portal_ingest_largest_transaction", "Events in the largest transaction.", self._batcher.largest)
        yield from self._backlogs()
        if self._broker is not None:
            yield from self._consumers(self._broker)

    def _backlogs(self) -> Iterator[Metric]:
        state = self._monitor.state
        gauges = (
            ("portal_journal_backlog_bytes", "Journal bytes that are not shipped yet.", state.backlog_bytes),
            (
                "portal_journal_backlog_seconds",
                "Age of the oldest record that is not shipped yet.",
                state.backlog_seconds,
            ),
            ("portal_quarantine_entries", "Entries that could not be counted; see portal dlq list.", state.quarantined),
            ("portal_invoices_overdue", "Accounts whose invoice is more than an hour late.", state.overdue),
        )
        for name, about, value in gauges:
            if value is not None:
                yield _gauge(name, about, value)
        if state.broker is not None:
            ready = GaugeMetricFamily("portal_queue_messages", "Messages ready in a queue.", labels=["queue"])
            for queue in ("waiting", "retrying", "dead"):
                ready.add_metric([queue], getattr(state.broker, queue))
            yield ready

    def _consumers(self, broker: RabbitBus) -> Iterator[Metric]:
        retried = CounterMetricFamily(
            "portal_messages_retried", "Failed attempts to handle a message.", labels=["subject"]
        )
        dead = CounterMetricFamily(
            "portal_messages_dead_lettered", "Messages given up as dead letters.", labels=["subject"]
        )
        for consumer in broker.consumers:
            retried.add_metric([consumer.subject], consumer.retried)
            dead.add_metric([consumer.subject], consumer.dead_lettered)
        yield from (retried, dead)


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, value)
