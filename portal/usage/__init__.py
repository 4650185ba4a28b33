"""Usage: every answered check, from the journal on disk to rows, buckets and series, exactly once.

Owns `usage_events` (raw, one row a counted check), `usage_minutes`, `usage_quarters`, `usage_days` (its buckets),
`usage_periods` (billable units of an account and billing period), `secret_uses` (when a secret was used last), and
the journal's folder. All but the last two tables are partitioned by month.

    check -> Journal.append (write(2), then the answer) -> Courier -> bus USAGE_RECORDED -> ingest_usage -> series

A record is lost by no crash of a process and counted twice by no repetition: the journal keeps it until the bus has
confirmed, and the database knows its id. Only code VALID on live keys adds to `usage_periods`; denials are counted in
buckets. Emits no events. Never decides whether a check passes, and knows neither keys' names nor plans.
"""

from portal.usage.courier import Courier, JournalDamaged
from portal.usage.export import ExportQuery, ExportRows, Piece, estimate_rows, export_usage, start_export
from portal.usage.export_formats import ExportFormat
from portal.usage.ingest import ingest_usage
from portal.usage.journal import Journal, JournalUnavailable
from portal.usage.partitions import ensure_partitions
from portal.usage.records import RESOURCE_MOST, PoisonBatch, UsageRecord, decode_batch, encode_batch, occurred_at
from portal.usage.requests import RequestQuery, UsageRequest, count_requests, find_request, list_requests
from portal.usage.rules import Granularity
from portal.usage.series import (
    UsageFilter,
    UsageGroup,
    UsageGroupTotals,
    UsagePoint,
    UsageQuery,
    UsageSeries,
    UsageTotals,
    query_before,
    top_usage,
    usage_series,
)
from portal.usage.settle import Settlement, settle_usage
from portal.usage.store import PeriodUse, last_used_by_secret, used_in_period

__all__ = [
    "RESOURCE_MOST",
    "Courier",
    "ExportFormat",
    "ExportQuery",
    "ExportRows",
    "Granularity",
    "Journal",
    "JournalDamaged",
    "JournalUnavailable",
    "PeriodUse",
    "Piece",
    "PoisonBatch",
    "RequestQuery",
    "Settlement",
    "UsageFilter",
    "UsageGroup",
    "UsageGroupTotals",
    "UsagePoint",
    "UsageQuery",
    "UsageRecord",
    "UsageRequest",
    "UsageSeries",
    "UsageTotals",
    "count_requests",
    "decode_batch",
    "encode_batch",
    "ensure_partitions",
    "estimate_rows",
    "export_usage",
    "find_request",
    "ingest_usage",
    "last_used_by_secret",
    "list_requests",
    "occurred_at",
    "query_before",
    "settle_usage",
    "start_export",
    "top_usage",
    "usage_series",
    "used_in_period",
]
