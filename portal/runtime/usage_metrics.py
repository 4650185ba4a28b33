"""What /metrics tells of the way of usage: journal, broker, ingest, quarantine. Plain integers, read when asked."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from portal.core.rabbit import RabbitBus
from portal.runtime.workers import WorkerSet

COUNTERS = {
    "batches": "Batches ingested.",
    "transactions": "Transactions that ingested them: batches divided by this is how well they merge.",
    "events": "Events in them, repetitions too.",
    "added": "Events that were new.",
    "quarantined": "Events and batches set apart.",
    "failures": "Transactions that failed and are repeated.",
}


class UsageMetrics(Collector):
    """Of one process; what piles up outside of it as its watch last saw it."""

    def __init__(self, build_workers: WorkerSet, broker: RabbitBus | None) -> None:
        self._courier = build_workers.shipper
        self._merger = build_workers.batcher
        self._watch = build_workers.watch
        self._broker = broker

    def describe(self) -> Iterable[Metric]:
        """Unnamed beforehand: several may live in one process, as in tests."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily("portal_journal_shipped", "Records that the bus confirmed.", self._courier.shipped)
        yield CounterMetricFamily("portal_journal_damaged", "Segments damaged in their middle.", self._courier.damaged)
        for name, about in COUNTERS.items():
            yield CounterMetricFamily(f"portal_ingest_{name}", about, getattr(self._merger, name))
        yield _gauge("portal_ingest_lag_seconds", "Age of the oldest event of the last transaction.", self._lag())
        yield _gauge("portal_ingest_lag_events", "Events that this process holds and has not counted.", self._held())
        yield _gauge("portal_ingest_largest_transaction", "Events in the largest one.", self._merger.largest)
        yield from self._seen()
        if self._broker is not None:
            yield from self._consumers(self._broker)

    def _lag(self) -> float:
        return self._merger.lag_seconds

    def _held(self) -> int:
        return self._merger.waiting_events

    def _seen(self) -> Iterator[Metric]:
        state = self._watch.state
        seen = (
            ("portal_journal_backlog_bytes", "Journalled and not shipped.", state.backlog_bytes),
            ("portal_journal_backlog_seconds", "Age of the oldest of it.", state.backlog_seconds),
            ("portal_quarantine_entries", "What could not be counted: portal dlq list.", state.quarantined),
            ("portal_invoices_overdue", "Accounts not billed an hour after they should have been.", state.overdue),
        )
        for name, about, value in seen:
            if value is not None:
                yield _gauge(name, about, value)
        if state.broker is not None:
            ready = GaugeMetricFamily("portal_queue_messages", "Messages ready in a queue.", labels=["queue"])
            for queue in ("waiting", "retrying", "dead"):
                ready.add_metric([queue], getattr(state.broker, queue))
            yield ready

    def _consumers(self, broker: RabbitBus) -> Iterator[Metric]:
        retried = CounterMetricFamily("portal_messages_retried", "Tries that failed.", labels=["subject"])
        buried = CounterMetricFamily("portal_messages_buried", "Given up as dead letters.", labels=["subject"])
        for consumer in broker.consumers:
            retried.add_metric([consumer.subject], consumer.retried)
            buried.add_metric([consumer.subject], consumer.buried)
        yield from (retried, buried)


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, value)
