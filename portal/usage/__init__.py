"""Usage: every answered check, from the journal on disk to rows, buckets and series, exactly once.

Owns `usage_events` (raw, one row a counted check), `usage_minutes`, `usage_quarters`, `usage_days` (its buckets),
`usage_periods` (billable units of an account and billing period), `secret_uses` (when and from where a secret was used
last), `usage_resources` (which resources of a day have buckets of their own), `usage_quarantine` (what could not be
counted), `external_events` (ids of usage that products metered themselves), and the journal's folder. The first four
are partitioned by month, and retention drops old months.

    check -> Journal.append (write(2), then the answer) -> Courier -> bus USAGE_RECORDED -> Merger -> series

A record is lost by no crash of a process and counted twice by no repetition: the journal keeps it until the bus has
confirmed, and the database knows its id. Only code VALID on live keys adds to `usage_periods`; denials are counted in
buckets. Emits `UsageSettled`. Never decides whether a check passes, and knows neither keys' names nor plans.
"""

from portal.usage.audit.audit import Difference, audit_account, audited_months, list_audited, month_named
from portal.usage.events import UsageSettled
from portal.usage.export.encoders import ExportFormat
from portal.usage.export.export import ExportQuery, ExportRows, Piece, estimate_rows, export_usage, start_export
from portal.usage.external.count import (
    ExternalCount,
    ExternalEvent,
    Verdict,
    count_external,
    known_external,
    purge_external_ids,
)
from portal.usage.history.request_log import RequestQuery, UsageRequest, count_requests, find_request, list_requests
from portal.usage.history.series import (
    UsageFilter,
    UsageGroup,
    UsageGroupTotals,
    UsagePoint,
    UsageQuery,
    UsageSeries,
    UsageTotals,
    counted_until,
    query_before,
    top_usage,
    usage_series,
)
from portal.usage.ingest.batcher import IngestBatcher
from portal.usage.ingest.ingest import IngestResult, ingest_batches, ingest_usage
from portal.usage.ingest.quarantine import (
    ReplayResult,
    count_quarantined,
    drop_expired_quarantined,
    drop_quarantined,
    find_quarantined,
    list_quarantined,
    replay_quarantined,
)
from portal.usage.ingest.resource_cap import ResourceNames
from portal.usage.ingest.store import PeriodUse
from portal.usage.ingest.sync_quota_counters import RaiseUsed, sync_quota_counters
from portal.usage.journal.backlog import Backlog, journal_backlog
from portal.usage.journal.recover import JournalInUse, JournalRecovered, bytes_in, recover_journal
from portal.usage.journal.shipper import JournalDamaged, JournalShipper
from portal.usage.journal.writer import Journal, JournalUnavailable
from portal.usage.models import Quarantined
from portal.usage.periods.settle import Settlement, settle_usage
from portal.usage.periods.settle_store import LastUse, last_used_by_secret
from portal.usage.periods.store import (
    ClosedPeriod,
    bill_late_usage,
    billable_units,
    close_period,
    list_closed_periods,
    used_in_period,
)
from portal.usage.records import (
    MAX_RESOURCE,
    PoisonBatch,
    UsageRecord,
    count_in,
    decode_batch,
    encode_batch,
    occurred_at,
)
from portal.usage.retention.drop_partitions import Dropped, drop_expired_partitions
from portal.usage.retention.partitions import ensure_partitions
from portal.usage.retention.prune_resource_names import prune_resource_names
from portal.usage.retention.retention import Retention, oldest_kept
from portal.usage.rules import Granularity

__all__ = [
    "MAX_RESOURCE",
    "Backlog",
    "ClosedPeriod",
    "Difference",
    "Dropped",
    "ExportFormat",
    "ExportQuery",
    "ExportRows",
    "ExternalCount",
    "ExternalEvent",
    "Granularity",
    "IngestBatcher",
    "IngestResult",
    "Journal",
    "JournalDamaged",
    "JournalInUse",
    "JournalRecovered",
    "JournalShipper",
    "JournalUnavailable",
    "LastUse",
    "PeriodUse",
    "Piece",
    "PoisonBatch",
    "Quarantined",
    "RaiseUsed",
    "ReplayResult",
    "RequestQuery",
    "ResourceNames",
    "Retention",
    "Settlement",
    "UsageFilter",
    "UsageGroup",
    "UsageGroupTotals",
    "UsagePoint",
    "UsageQuery",
    "UsageRecord",
    "UsageRequest",
    "UsageSeries",
    "UsageSettled",
    "UsageTotals",
    "Verdict",
    "audit_account",
    "audited_months",
    "bill_late_usage",
    "billable_units",
    "bytes_in",
    "close_period",
    "count_external",
    "count_in",
    "count_quarantined",
    "count_requests",
    "counted_until",
    "decode_batch",
    "drop_expired_partitions",
    "drop_expired_quarantined",
    "drop_quarantined",
    "encode_batch",
    "ensure_partitions",
    "estimate_rows",
    "export_usage",
    "find_quarantined",
    "find_request",
    "ingest_batches",
    "ingest_usage",
    "journal_backlog",
    "known_external",
    "last_used_by_secret",
    "list_audited",
    "list_closed_periods",
    "list_quarantined",
    "list_requests",
    "month_named",
    "occurred_at",
    "oldest_kept",
    "prune_resource_names",
    "purge_external_ids",
    "query_before",
    "recover_journal",
    "replay_quarantined",
    "settle_usage",
    "start_export",
    "sync_quota_counters",
    "top_usage",
    "usage_series",
    "used_in_period",
]
