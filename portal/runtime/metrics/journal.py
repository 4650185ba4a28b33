"""What /metrics says about the journal of this node: what waits in it, and whether it can be written."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from portal.core.clock import utc_now
from portal.runtime.metrics.families import UNKNOWN, ProcessCollector
from portal.usage import Journal, journal_backlog, journal_disk_use


class JournalMetrics(ProcessCollector):
    """The journal's folder, as any process of the node sees it; `journal` where this process writes one."""

    def __init__(self, folder: Path, journal: Journal | None = None) -> None:
        self._folder = folder
        self._journal = journal

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family with its present values; NaN where the folder cannot be read."""
        waiting, seconds, total, damaged, free = UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN
        with suppress(OSError):
            # First what fails for a folder that is gone.
            total, damaged = journal_disk_use(self._folder)
            free = shutil.disk_usage(self._folder).free
            backlog = journal_backlog(self._folder)
            waiting = backlog.bytes
            seconds = max(0.0, (utc_now() - backlog.oldest).total_seconds()) if backlog.oldest else 0.0
        yield GaugeMetricFamily("portal_journal_backlog_bytes", "Journal bytes of this node not shipped yet.", waiting)
        yield GaugeMetricFamily(
            "portal_journal_backlog_seconds", "Age of the oldest record of this node that is not shipped yet.", seconds
        )
        yield GaugeMetricFamily("portal_journal_bytes", "Bytes of all files in the journal's folder.", total)
        yield GaugeMetricFamily(
            "portal_journal_damaged_files", "Files set aside as damaged, which somebody has to look at.", damaged
        )
        yield GaugeMetricFamily("portal_journal_disk_free_bytes", "Bytes free on the journal's disk.", free)
        if self._journal is not None:
            yield GaugeMetricFamily(
                "portal_journal_writable", "1 while checks can be counted; 0: they get 503.", self._journal.is_writable
            )
            yield CounterMetricFamily(
                "portal_journal_unavailable", "Times the journal became unwritable.", self._journal.failure_count
            )
