"""What /metrics says about checks: plain integers, read when they are scraped; the hot path counts nothing twice.

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
    """The checks of one process."""

    def __init__(self, limiter: Limiter, checker: Checker) -> None:
        self._limiter = limiter
        self._checker = checker

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that several may be registered in one process, as in tests."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family with its present values."""
        yield from self._shards()
        yield from self._answers()
        entries = GaugeMetricFamily(
            "portal_policy_cache_entries", "Secrets whose policy is cached in memory.", labels=["kind"]
        )
        for kind, size in self._checker.policies.sizes().items():
            entries.add_metric([kind], size)
        yield entries

    def _shards(self) -> Iterator[Metric]:
        is_connected = GaugeMetricFamily("portal_shard_connected", "1 while connected.", labels=["shard"])
        connected = CounterMetricFamily("portal_shard_connections", "Connections opened.", labels=["shard"])
        opened = CounterMetricFamily(
            "portal_shard_breaker_opened", "Times the circuit breaker opened.", labels=["shard"]
        )
        for shard in self._limiter.shards():
            name = [shard.connection.name]
            is_connected.add_metric(name, shard.connection.is_connected)
            connected.add_metric(name, shard.connection.link_count)
            opened.add_metric(name, shard.breaker.open_count)
        yield from (is_connected, connected, opened)

    def _answers(self) -> Iterator[Metric]:
        degraded = CounterMetricFamily(
            "portal_checks_degraded", "Checks decided by the plan's failure policy.", labels=["policy", "outcome"]
        )
        for (policy, outcome), count in self._checker.degraded_decider.decision_counts.items():
            degraded.add_metric([policy, outcome.lower()], count)
        yield degraded
        yield CounterMetricFamily(
            "portal_checks_stale", "Checks repeated because their policy was out of date.", self._checker.stale_count
        )
        yield CounterMetricFamily(
            "portal_checks_unseeded", "Checks for which Redis had no counters yet.", self._checker.unseeded_count
        )


@contextmanager
def expose_metrics(metrics: Collector) -> Iterator[None]:
    """Register `metrics` with /metrics for as long as the block lasts."""
    REGISTRY.register(metrics)
    try:
        yield
    finally:
        REGISTRY.unregister(metrics)
