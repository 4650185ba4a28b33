"""Wire the parts of a process: the one place where settings become connected objects.

The command line, the tests and the benchmark start here, and nothing below imports it.

    prepare_database      migrations, partitions and the starter catalogue
    finish_restore.py     what `portal restore finish` does after PostgreSQL was restored
    container.py          settings → database, Redis, broker, bus (`open_container`); what HTTP adds (`open_web`)
    workers.py            every background worker by its name, and how they are run together
    server.py             an HTTP server in a loop that somebody else owns; the options of every HTTP process of ours
    http_process.py       the application of one process of `portal serve`
    supervisor.py         the processes of `portal serve --workers N`, which end with their parent
    worker_health.py      /livez, /readyz and /metrics beside the workers
    metrics/              what /metrics shows, of one process or of several together
    draining.py           what SIGTERM does: not ready at once, stopped later
    gc_tuning.py          Python's cycle collector, kept out of the checks' way

A Redis or a broker that is away keeps nothing from starting; a PostgreSQL that is away keeps only `prepare_database`.
"""

from migrations.run import SchemaState
from portal.runtime.container import (
    Container,
    describe_services,
    host_and_port,
    journal_folder,
    open_container,
    open_web,
    retention_of,
)
from portal.runtime.finish_restore import RestoreReport, finish_restore
from portal.runtime.gc_tuning import tune_gc
from portal.runtime.http_process import http_config
from portal.runtime.metrics import JournalMetrics, UsageMetrics, expose_metrics, metrics_hub, serve_metrics
from portal.runtime.prepare_database import prepare_database, require_migrated
from portal.runtime.server import bind, listen, running_server, url_of
from portal.runtime.supervisor import Supervisor
from portal.runtime.worker_health import serve_health
from portal.runtime.workers import (
    build_shipper,
    build_workers,
    run_workers,
    running_workers,
    select_workers,
    subscribe_ingest,
)

__all__ = [
    "Container",
    "JournalMetrics",
    "RestoreReport",
    "SchemaState",
    "Supervisor",
    "UsageMetrics",
    "bind",
    "build_shipper",
    "build_workers",
    "describe_services",
    "expose_metrics",
    "finish_restore",
    "host_and_port",
    "http_config",
    "journal_folder",
    "listen",
    "metrics_hub",
    "open_container",
    "open_web",
    "prepare_database",
    "require_migrated",
    "retention_of",
    "run_workers",
    "running_server",
    "running_workers",
    "select_workers",
    "serve_health",
    "serve_metrics",
    "subscribe_ingest",
    "tune_gc",
    "url_of",
]
