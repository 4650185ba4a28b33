"""Usage: every answered check, from the journal on disk to rows, buckets and series, exactly once.

Owns `usage_events` (raw, one row a counted check), `usage_minutes`, `usage_quarters`, `usage_days` (its buckets),
`usage_periods` (billable units of an account and billing period), `secret_uses` (when and from where a secret was used
last), `usage_resources` (which resources of a day have buckets of their own), `usage_quarantine` (what could not be
counted), and the journal's folder. The first four are partitioned by month.

    check -> Journal.append (write(2), then the answer) -> Courier -> bus USAGE_RECORDED -> Merger -> series

A record is lost by no crash of a process and counted twice by no repetition: the journal keeps it until the bus has
confirmed, and the database knows its id. Only code VALID on live keys adds to `usage_periods`; denials are counted in
buckets. Emits `UsageSettled`. Never decides whether a check passes, and knows neither keys' names nor plans.
"""

from portal.usage.backlog import Backlog, journal_backlog
from portal.usage.courier import Courier, JournalDamaged
from portal.usage.events import UsageSettled
from portal.usage.ingest import Ingested, ingest_batches, ingest_usage
from portal.usage.journal import Journal, JournalUnavailable
from portal.usage.merger import Merger
from portal.usage.models import Quarantined
from portal.usage.partitions import ensure_partitions
from portal.usage.quarantine import (
    Replayed,
    count_quarantined,
    drop_quarantined,
    find_quarantined,
    list_quarantined,
    replay_quarantined,
)
from portal.usage.records import (
    RESOURCE_MOST,
    PoisonBatch,
    UsageRecord,
    count_in,
    decode_batch,
    encode_batch,
    occurred_at,
)
from portal.usage.resources import ResourceNames
from portal.usage.rules import Granularity
from portal.usage.series import (
    UsageFilter,
    UsageGroup,
    UsageGroupTotals,
    UsagePoint,
    UsageQuery,
    UsageSeries,
    UsageTotals,
    usage_series,
)
from portal.usage.settle import Settlement, settle_usage
from portal.usage.store import LastUse, last_used_by_secret, used_in_period
from portal.usage.store_ingest import PeriodUse

__all__ = [
    "RESOURCE_MOST",
    "Backlog",
    "Courier",
    "Granularity",
    "Ingested",
    "Journal",
    "JournalDamaged",
    "JournalUnavailable",
    "LastUse",
    "Merger",
    "PeriodUse",
    "PoisonBatch",
    "Quarantined",
    "Replayed",
    "ResourceNames",
    "Settlement",
    "UsageFilter",
    "UsageGroup",
    "UsageGroupTotals",
    "UsagePoint",
    "UsageQuery",
    "UsageRecord",
    "UsageSeries",
    "UsageSettled",
    "UsageTotals",
    "count_in",
    "count_quarantined",
    "decode_batch",
    "drop_quarantined",
    "encode_batch",
    "ensure_partitions",
    "find_quarantined",
    "ingest_batches",
    "ingest_usage",
    "journal_backlog",
    "last_used_by_secret",
    "list_quarantined",
    "occurred_at",
    "replay_quarantined",
    "settle_usage",
    "usage_series",
    "used_in_period",
]
