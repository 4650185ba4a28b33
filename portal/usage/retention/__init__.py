"""Retention: monthly partitions, made before they are needed and dropped when they are no longer kept.

    retention_policy.py      how many months each table keeps, and what follows from that: pure
    partitions.py            create what is missing
    drop_partitions.py       mark, detach, drop
    prune_resource_names.py  names of resources on days whose raw events are gone
    batches.py               delete many rows in short transactions
    store.py                 the statements

Ingest, external usage and the audit ask this face what is still counted, and from when on.
"""

from portal.usage.retention.batches import delete_in_batches
from portal.usage.retention.drop_partitions import drop_expired_partitions
from portal.usage.retention.partitions import create_partitions, ensure_partitions, is_partition_missing
from portal.usage.retention.prune_resource_names import prune_resource_names
from portal.usage.retention.retention_policy import RAW_TABLE, Retention, earliest_at, oldest_kept, oldest_not_dropped

__all__ = [
    "RAW_TABLE",
    "Retention",
    "create_partitions",
    "delete_in_batches",
    "drop_expired_partitions",
    "earliest_at",
    "ensure_partitions",
    "is_partition_missing",
    "oldest_kept",
    "oldest_not_dropped",
    "prune_resource_names",
]
