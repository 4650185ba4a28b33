"""What /metrics says about usage on its way: shipping, broker, ingest, quarantine, invoices. Read when scraped."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from portal.core.rabbit import RabbitBus
from portal.runtime.metrics.families import UNKNOWN, ProcessCollector
from portal.usage import IngestBatcher, JournalShipper
from workers.watch_usage import UsageMonitor


class UsageMetrics(ProcessCollector):
    """The usage of one process; what piles up outside of it, as its monitor last saw it, NaN where it could not."""

    def __init__(
        self, shipper: JournalShipper, batcher: IngestBatcher, monitor: UsageMonitor, broker: RabbitBus | None
    ) -> None:
        self._shipper = shipper
        self._batcher = batcher
        self._monitor = monitor
        self._broker = broker

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family with its present values."""
        yield CounterMetricFamily("portal_journal_shipped", "Records confirmed by the bus.", self._shipper.shipped)
        yield CounterMetricFamily("portal_journal_damaged", "Journal segments found damaged.", self._shipper.damaged)
        yield from self._ingest()
        yield from self._watched()
        if self._broker is not None:
            yield from self._consumers(self._broker)

    def _ingest(self) -> Iterator[Metric]:
        batcher = self._batcher
        yield CounterMetricFamily("portal_ingest_batches", "Batches ingested.", batcher.batches)
        yield CounterMetricFamily(
            "portal_ingest_transactions",
            "Transactions that ingested them; batches divided by this shows how well they merge.",
            batcher.transactions,
        )
        yield CounterMetricFamily(
            "portal_ingest_events", "Events in those batches, duplicates included.", batcher.events
        )
        yield CounterMetricFamily("portal_ingest_added", "Events that were new.", batcher.added)
        yield CounterMetricFamily(
            "portal_ingest_quarantined", "Events and batches put into the quarantine.", batcher.quarantined
        )
        yield CounterMetricFamily(
            "portal_ingest_failures", "Transactions that failed and are retried.", batcher.failures
        )
        yield GaugeMetricFamily(
            "portal_ingest_lag_seconds",
            "Age of the oldest event that this process knows of and that is not counted yet: in its journal, in its"
            " hands, or in a queue that nobody consumes. It grows while nothing is counted; use max.",
            max(self._monitor.oldest_seconds(), batcher.oldest_seconds()),
        )
        yield GaugeMetricFamily(
            "portal_ingest_transaction_lag_seconds",
            "Age that the oldest event of the last transaction had when it was counted.",
            batcher.lag_seconds,
        )
        yield GaugeMetricFamily(
            "portal_ingest_lag_events",
            "Events that this process holds and has not counted yet.",
            batcher.waiting_events,
        )
        yield GaugeMetricFamily(
            "portal_ingest_largest_transaction", "Events in the largest transaction.", batcher.largest
        )

    def _watched(self) -> Iterator[Metric]:
        state = self._monitor.state
        up = GaugeMetricFamily(
            "portal_watch_up",
            "1 where the last look, every 5 s, could read it; 0: what it tells is NaN.",
            labels=["source"],
        )
        for source, value in (("journal", state.backlog_bytes), ("database", state.quarantined)):
            up.add_metric([source], value is not None)
        if self._broker is not None:
            up.add_metric(["broker"], state.broker is not None)
        yield up
        yield GaugeMetricFamily(
            "portal_quarantine_entries",
            "Entries that could not be counted, of the whole installation; see portal dlq list; use max.",
            _known(state.quarantined),
        )
        yield GaugeMetricFamily(
            "portal_invoices_overdue",
            "Accounts that are an hour late and fail or stand still, unnumbered invoices too; of all, use max.",
            _known(state.overdue),
        )
        yield GaugeMetricFamily(
            "portal_outbox_events",
            "Events of the outbox that are not relayed yet, at most 10,000 are counted; use max.",
            _known(state.outbox_events),
        )
        yield GaugeMetricFamily(
            "portal_outbox_age_seconds", "Age of the oldest of them; use max.", _known(state.outbox_seconds)
        )
        if self._broker is not None:
            ready = GaugeMetricFamily("portal_queue_messages", "Messages ready in a queue; use max.", labels=["queue"])
            for queue in ("waiting", "retrying", "dead"):
                ready.add_metric([queue], _known(getattr(state.broker, queue, None)))
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
        yield GaugeMetricFamily(
            "portal_broker_blocked",
            "1 while the broker takes no messages: it is short of memory or disk.",
            broker.is_blocked,
        )


def _known(value: float | None) -> float:
    return UNKNOWN if value is None else value
