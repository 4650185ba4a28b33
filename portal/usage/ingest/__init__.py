"""Ingest: batches from the bus become rows and buckets, each event once; what cannot be counted is quarantined.

    bus USAGE_RECORDED
      -> batcher.IngestBatcher.add      deliveries that arrive while a transaction runs share the next one
      -> ingest_usage.ingest_batches
           validate.validate_batches    pure: one row an event, the rest rejected with its reason
           resource_cap.ResourceCap     which resources have buckets of their own, which are counted as `other`
           store.stage_events           COPY
           store.insert_staged          new events, minutes, quarter-hours, days and periods in one statement
           store.insert_rejected        quarantine, in the same transaction
      -> commit
      -> sync_quota_counters            the counters in Redis hold at least what is counted
      -> acknowledged

An error before the commit leaves the batches with the bus, which delivers them again; nothing of them was stored. After
it they count nothing when they come again. External usage goes the same way from ResourceCap on.
"""

from portal.usage.ingest.batcher import IngestBatcher
from portal.usage.ingest.ingest_usage import IngestResult, ingest_batches, ingest_usage
from portal.usage.ingest.quarantine import ReplayResult, purge_quarantine, replay_quarantined
from portal.usage.ingest.resource_cap import ResourceCap
from portal.usage.ingest.store import (
    PeriodTotal,
    count_quarantined,
    delete_quarantined,
    find_quarantined,
    insert_staged,
    list_quarantined,
    stage_events,
)
from portal.usage.ingest.sync_quota_counters import RaiseUsed, sync_quota_counters
from portal.usage.ingest.validate import ResourceKey, StagedRow

__all__ = [
    "IngestBatcher",
    "IngestResult",
    "PeriodTotal",
    "RaiseUsed",
    "ReplayResult",
    "ResourceCap",
    "ResourceKey",
    "StagedRow",
    "count_quarantined",
    "delete_quarantined",
    "find_quarantined",
    "ingest_batches",
    "ingest_usage",
    "insert_staged",
    "list_quarantined",
    "purge_quarantine",
    "replay_quarantined",
    "stage_events",
    "sync_quota_counters",
]
