"""External usage: what a product metered itself, each event counted once.

events.py  the event, its ids and digest, and its status
count.py   count many in one transaction; find what was counted; purge ids of months that are gone
store.py   statements on the ids; the events themselves go through ingest's
"""

from portal.usage.external.count import ExternalCount, count_external, find_counted, purge_external_ids
from portal.usage.external.events import ExternalEvent, ExternalResult, ExternalStatus

__all__ = [
    "ExternalCount",
    "ExternalEvent",
    "ExternalResult",
    "ExternalStatus",
    "count_external",
    "find_counted",
    "purge_external_ids",
]
