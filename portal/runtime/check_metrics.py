"""What /metrics tells of checks, read from plain integers when it is asked; nothing is counted twice on the hot path.

Labels are shards' names, failure policies and codes, never a key or an account.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from portal.check import Checker
from portal.limits import Limiter


class CheckMetrics(Collector):
    """Of one process."""

    def __init__(self, limiter: Limiter, checker: Checker) -> None:
        self._limiter = limiter
        self._checker = checker

    def describe(self) -> Iterable[Metric]:
        """Unnamed beforehand: several may live in one process, as in tests."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._shards()
        yield from self._answers()
        entries = GaugeMetricFamily("portal_policy_cache_entries", "Secrets remembered in memory.", labels=["kind"])
        for kind, size in self._checker.policies.sizes().items():
            entries.add_metric([kind], size)
        yield entries

    def _shards(self) -> Iterator[Metric]:
        is_connected = GaugeMetricFamily("portal_shard_connected", "1: there is a link.", labels=["shard"])
        connected = CounterMetricFamily("portal_shard_connections", "Links opened.", labels=["shard"])
        opened = CounterMetricFamily("portal_shard_breaker_opened", "Times left alone for failing.", labels=["shard"])
        for shard in self._limiter.shards():
            name = [shard.connection.name]
            is_connected.add_metric(name, shard.connection.is_connected)
            connected.add_metric(name, shard.connection.link_count)
            opened.add_metric(name, shard.breaker.open_count)
        yield from (is_connected, connected, opened)

    def _answers(self) -> Iterator[Metric]:
        degraded = CounterMetricFamily(
            "portal_checks_degraded", "Checks left to the plan's failure policy.", labels=["policy", "outcome"]
        )
        for (policy, outcome), count in self._checker.degraded_decider.decision_counts.items():
            degraded.add_metric([policy, outcome.lower()], count)
        yield degraded
        yield CounterMetricFamily("portal_checks_stale", "Checks by an older policy.", self._checker.stale_count)
        yield CounterMetricFamily(
            "portal_checks_unseeded", "Checks Redis had no counters for.", self._checker.unseeded_count
        )


@contextmanager
def shown(metrics: Collector) -> Iterator[None]:
    """While it is open, /metrics has them."""
    REGISTRY.register(metrics)
    try:
        yield
    finally:
        REGISTRY.unregister(metrics)
