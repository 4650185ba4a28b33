"""Show collectors under /metrics while their parts are open."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY, disable_created_metrics
from prometheus_client.registry import Collector

# When a counter began says nothing that its reset does not, and doubles the series.
disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped


@contextmanager
def expose_metrics(*collectors: Collector) -> Iterator[None]:
    """Register the collectors with /metrics for as long as the block lasts."""
    for collector in collectors:
        REGISTRY.register(collector)
    try:
        yield
    finally:
        for collector in collectors:
            REGISTRY.unregister(collector)
