"""What /metrics shows, and how the processes of one `portal serve` show it together.

    checks.py, usage.py, journal.py, process.py   collectors: the figures of one process, read when they are scraped
    expose.py      register them for as long as their parts are open
    families.py    metrics as bytes between processes; several processes' metrics merged into one
    hub.py         the parent of several processes: asks each, and remembers what those had counted that have ended
    server.py      PORTAL_METRICS_PORT: a thread of its own, so that it answers while the event loop stalls

A value that cannot be read is NaN, and `portal_watch_up` says so: nothing vanishes.
"""

from portal.runtime.metrics.checks import CheckMetrics
from portal.runtime.metrics.expose import expose_metrics
from portal.runtime.metrics.hub import answer_hub, collect_from_hub, metrics_hub
from portal.runtime.metrics.journal import JournalMetrics
from portal.runtime.metrics.process import LoopLag, ProcessMetrics
from portal.runtime.metrics.server import serve_metrics
from portal.runtime.metrics.usage import UsageMetrics

__all__ = [
    "CheckMetrics",
    "JournalMetrics",
    "LoopLag",
    "ProcessMetrics",
    "UsageMetrics",
    "answer_hub",
    "collect_from_hub",
    "expose_metrics",
    "metrics_hub",
    "serve_metrics",
]
