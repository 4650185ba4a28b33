"""What /metrics says about checks: plain integers, read when they are scraped, by any thread.

Labels are routes, codes, shards' names and failure policies, never a key or an account.
"""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from portal.check import Checker
from portal.limits import Limiter
from portal.runtime.metrics.families import ProcessCollector, cumulative_buckets
from web.check.counters import COUNTERS, SECONDS


class CheckMetrics(ProcessCollector):
    """The checks of one process."""

    def __init__(self, limiter: Limiter, checker: Checker) -> None:
        self._limiter = limiter
        self._checker = checker

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family with its present values."""
        yield from self._requests()
        yield from self._decisions()
        yield from self._policies()
        yield from self._shards()

    def _requests(self) -> Iterator[Metric]:
        answered = CounterMetricFamily(
            "portal_check_requests",
            "Answered requests of the check routes; status 499 is a caller who went away before.",
            labels=["route", "status"],
        )
        seconds = HistogramMetricFamily(
            "portal_check_seconds", "From the last byte of a request to its answer.", labels=["route"]
        )
        in_flight = GaugeMetricFamily(
            "portal_check_requests_in_flight", "Requests of the check routes that wait for their answer."
        )
        waiting = 0
        for path, route in dict(COUNTERS.routes).items():
            for status, count in route.statuses().items():
                answered.add_metric([path, str(status)], count)
            seconds.add_metric([path], cumulative_buckets(SECONDS, route.buckets), route.seconds)
            waiting += route.in_flight
        in_flight.add_metric([], waiting)
        yield from (answered, seconds, in_flight)

    def _decisions(self) -> Iterator[Metric]:
        checks = CounterMetricFamily(
            "portal_checks", "Checks answered, by code; each check of a batch counts.", labels=["code"]
        )
        for code, count in self._checker.journal_batch.counts.items():
            checks.add_metric([code.value], count)
        yield checks
        errors = CounterMetricFamily(
            "portal_check_errors",
            "Checks without a decision: `undecided` by the failure policy, `journal` not writable, `database` away"
            " and the key or token not in memory, `internal` a fault of ours.",
            labels=["reason"],
        )
        for reason in ("undecided", "journal", "database", "internal"):
            errors.add_metric([reason], COUNTERS.errors[reason])
        yield errors
        degraded = CounterMetricFamily(
            "portal_checks_degraded", "Checks decided by the plan's failure policy.", labels=["policy", "outcome"]
        )
        for (policy, outcome), count in dict(self._checker.degraded_decider.decision_counts).items():
            degraded.add_metric([policy, outcome.lower()], count)
        yield degraded
        yield CounterMetricFamily(
            "portal_checks_stale", "Checks repeated because their policy was out of date.", self._checker.stale_count
        )
        yield CounterMetricFamily(
            "portal_checks_unseeded", "Checks for which Redis had no counters yet.", self._checker.unseeded_count
        )
        yield GaugeMetricFamily(
            "portal_clock_error_seconds",
            "How far this machine's clock is before that of the Redis that decided last; below 0: behind.",
            self._checker.ids.clock_error_seconds(),
        )

    def _policies(self) -> Iterator[Metric]:
        policies = self._checker.policies
        yield CounterMetricFamily(
            "portal_checks_cold", "Checks whose key was not in this process's memory.", policies.cold_count
        )
        loads = CounterMetricFamily("portal_policy_loads", "Policies loaded, by where from.", labels=["source"])
        for source, count in policies.load_counts.items():
            loads.add_metric([source], count)
        yield loads
        entries = GaugeMetricFamily(
            "portal_policy_cache_entries", "Secrets whose policy is cached in memory.", labels=["kind"]
        )
        for kind, size in policies.sizes().items():
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
