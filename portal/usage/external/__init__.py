"""External usage: what a product metered itself, each event counted once.

events.py           the event, its ids and digest, and its status
ingest_external.py  count many in one transaction; find what was counted; purge ids of months that are gone
store.py            statements on the ids; the events themselves go through ingest's
"""

from portal.usage.external.events import ExternalEvent, ExternalResult, ExternalStatus
from portal.usage.external.ingest_external import ExternalBatchResult, find_counted, ingest_external, purge_external_ids

__all__ = [
    "ExternalBatchResult",
    "ExternalEvent",
    "ExternalResult",
    "ExternalStatus",
    "find_counted",
    "ingest_external",
    "purge_external_ids",
]
