"""Metrics as bytes between processes, and the metrics of several processes as those of one.

Counters and histograms add up, and so do gauges that count something of a process; a gauge of what all processes see
alike, or of the worst of them, is the largest (MAX) or the smallest (MIN) of theirs. What one process does not know
(NaN) another may. What all collectors of this package share stands here too.
"""

from collections.abc import Callable, Iterable
from itertools import accumulate
from math import isnan, nan

import msgspec
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

MAX = frozenset(
    {
        "portal_build_info",
        "portal_clock_error_seconds",
        "portal_ingest_lag_seconds",
        "portal_ingest_largest_transaction",
        "portal_invoices_overdue",
        "portal_invoices_overdue_seconds",
        "portal_journal_backlog_bytes",
        "portal_journal_backlog_seconds",
        "portal_journal_bytes",
        "portal_journal_damaged_files",
        "portal_outbox_age_seconds",
        "portal_outbox_events",
        "portal_quarantine_entries",
        "portal_queue_messages",
        "portal_worker_last_success_timestamp_seconds",
        "process_max_fds",
        "process_start_time_seconds",
        "python_info",
    }
)
MIN = frozenset(
    {
        "portal_journal_disk_free_bytes",
        "portal_journal_writable",
        "portal_shard_connected",
        "portal_watch_up",
    }
)
ADDED = frozenset({"counter", "histogram", "summary"})
"""Types whose samples only grow: what a process had counted stays counted when it ends."""
Key = tuple[str, tuple[tuple[str, str], ...]]


class ProcessCollector(Collector):
    """A collector of which one process may register several, as tests do."""

    def describe(self) -> Iterable[Metric]:
        """Return nothing: names that are not announced cannot clash."""
        return []


def cumulative_buckets(bounds: Iterable[float], counts: Iterable[int]) -> list[tuple[str, float]]:
    """Return a histogram's buckets as Prometheus wants them; `counts` are of each alone, the last has no bound."""
    return [*zip([*map(str, bounds), "+Inf"], accumulate(counts), strict=True)]


class _Sample(msgspec.Struct, array_like=True):
    name: str
    labels: dict[str, str]
    value: float


class _Family(msgspec.Struct, array_like=True):
    name: str
    about: str
    type: str
    samples: list[_Sample]


_decode = msgspec.msgpack.Decoder(list[_Family]).decode


def encode_families(families: Iterable[Metric]) -> bytes:
    """Return the families as bytes."""
    return msgspec.msgpack.encode(
        [
            _Family(
                family.name,
                family.documentation,
                family.type,
                [_Sample(sample.name, sample.labels, float(sample.value)) for sample in family.samples],
            )
            for family in families
        ]
    )


def decode_families(data: bytes) -> list[Metric]:
    """Return the families that `encode_families` wrote. Raises msgspec.MsgspecError."""
    families = []
    for found in _decode(data):
        family = Metric(found.name, found.about, found.type)
        for sample in found.samples:
            family.add_sample(sample.name, sample.labels, sample.value)
        families.append(family)
    return families


def merge_families(processes: Iterable[Iterable[Metric]]) -> list[Metric]:
    """Return one family of each name, with the samples of all processes combined."""
    merged: dict[str, Metric] = {}
    values: dict[str, dict[Key, float]] = {}
    for families in processes:
        for family in families:
            merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            found, combine = values.setdefault(family.name, {}), _combiner(family)
            for sample in family.samples:
                key = (sample.name, tuple(sorted(sample.labels.items())))
                found[key] = combine(found[key], sample.value) if key in found else sample.value
    for name, family in merged.items():
        for (sample_name, labels), value in values[name].items():
            family.add_sample(sample_name, dict(labels), value)
    return [*merged.values()]


def only_added(families: Iterable[Metric]) -> list[Metric]:
    """Return the families whose values stay when their process has ended."""
    return [family for family in families if family.type in ADDED]


def _combiner(family: Metric) -> Callable[[float, float], float]:
    if family.name in MAX:
        return lambda left, right: _known(max, left, right)
    if family.name in MIN:
        return lambda left, right: _known(min, left, right)
    return lambda left, right: _known(lambda a, b: a + b, left, right)


def _known(combine: Callable[[float, float], float], left: float, right: float) -> float:
    if isnan(left):
        return right
    return left if isnan(right) else combine(left, right)


UNKNOWN = nan
"""The value of a metric that could not be read."""
