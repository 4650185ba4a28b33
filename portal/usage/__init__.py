"""Usage: every answered check, from the journal on disk to rows, buckets and series, exactly once.

Owns `usage_events` (raw, one row a counted check), `usage_minutes`, `usage_quarters`, `usage_days` (its buckets),
`usage_periods` (billable units of an account and billing period), `secret_uses` (when and from where a secret was used
last), `usage_resources` (which resources of a day have buckets of their own), `usage_quarantine` (what could not be
counted), `external_events` (ids of usage that products metered themselves), and the journal's folder. The first four
are partitioned by month, and retention drops old months.

    check -> journal (write(2), then the answer) -> shipper -> bus USAGE_RECORDED -> ingest -> history, periods, export

    journal/    files of a node, and what ships them       history/    series and the request log
    ingest/     batches to rows and buckets, quarantine    export/     files of any size
    external/   usage that products metered themselves     periods/    units of a period, settling, closing
    retention/  monthly partitions, made and dropped       audit/      whether the ledgers agree

A record is lost by no crash of a process and counted twice by no repetition: the journal keeps it until the bus has
confirmed, and the database knows its id. Only code VALID on live keys adds to `usage_periods`; denials are counted in
buckets. Emits `UsageSettled`. Never decides whether a check passes, and knows neither keys' names nor plans.
"""

from portal.usage.audit import Difference, audit_accounts, list_accounts_to_audit, list_months_to_audit, parse_month
from portal.usage.events import UsageSettled
from portal.usage.export import ExportFormat, ExportQuery, ExportRows, estimate_rows, export_usage, start_export
from portal.usage.external import (
    ExternalEvent,
    ExternalResult,
    ExternalStatus,
    find_counted,
    ingest_external,
    purge_external_ids,
)
from portal.usage.history import (
    LastUse,
    RequestQuery,
    UsageFilter,
    UsageGroup,
    UsageGroupTotals,
    UsagePoint,
    UsageQuery,
    UsageRequest,
    UsageSeries,
    UsageTotals,
    count_requests,
    counted_until,
    find_request,
    last_used_by_secret,
    list_requests,
    query_before,
    top_usage,
    usage_series,
)
from portal.usage.ingest import (
    IngestBatcher,
    ResourceCap,
    count_quarantined,
    delete_quarantined,
    find_quarantined,
    ingest_usage,
    list_quarantined,
    purge_quarantine,
    replay_quarantined,
    sync_quota_counters,
)
from portal.usage.journal import (
    Journal,
    JournalRecovered,
    JournalShipper,
    JournalUnavailable,
    journal_backlog,
    journal_bytes,
    journal_disk_use,
    kept_bytes,
    recover_journal,
    ship_again,
)
from portal.usage.models import Quarantined
from portal.usage.periods import (
    ClosedPeriod,
    Settlement,
    billable_units,
    close_period,
    list_closed_in,
    list_closed_periods,
    mark_late_usage_billed,
    settle_usage,
    used_in_period,
)
from portal.usage.records import (
    MAX_DENIED_LIMITS,
    MAX_DENIED_SCOPES,
    QUOTA,
    Denial,
    DeniedLimit,
    PoisonBatch,
    UsageRecord,
    count_in,
    decode_batch,
    encode_batch,
)
from portal.usage.retention import (
    Retention,
    drop_expired_partitions,
    ensure_partitions,
    oldest_kept,
    prune_resource_names,
)
from portal.usage.rules import Granularity

__all__ = [
    "MAX_DENIED_LIMITS",
    "MAX_DENIED_SCOPES",
    "QUOTA",
    "ClosedPeriod",
    "Denial",
    "DeniedLimit",
    "Difference",
    "ExportFormat",
    "ExportQuery",
    "ExportRows",
    "ExternalEvent",
    "ExternalResult",
    "ExternalStatus",
    "Granularity",
    "IngestBatcher",
    "Journal",
    "JournalRecovered",
    "JournalShipper",
    "JournalUnavailable",
    "LastUse",
    "PoisonBatch",
    "Quarantined",
    "RequestQuery",
    "ResourceCap",
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
    "audit_accounts",
    "billable_units",
    "close_period",
    "count_in",
    "count_quarantined",
    "count_requests",
    "counted_until",
    "decode_batch",
    "delete_quarantined",
    "drop_expired_partitions",
    "encode_batch",
    "ensure_partitions",
    "estimate_rows",
    "export_usage",
    "find_counted",
    "find_quarantined",
    "find_request",
    "ingest_external",
    "ingest_usage",
    "journal_backlog",
    "journal_bytes",
    "journal_disk_use",
    "kept_bytes",
    "last_used_by_secret",
    "list_accounts_to_audit",
    "list_closed_in",
    "list_closed_periods",
    "list_months_to_audit",
    "list_quarantined",
    "list_requests",
    "mark_late_usage_billed",
    "oldest_kept",
    "parse_month",
    "prune_resource_names",
    "purge_external_ids",
    "purge_quarantine",
    "query_before",
    "recover_journal",
    "replay_quarantined",
    "settle_usage",
    "ship_again",
    "start_export",
    "sync_quota_counters",
    "top_usage",
    "usage_series",
    "used_in_period",
]
