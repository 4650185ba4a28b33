"""History: usage of an account over time, and the log of its single requests.

    series.py        steps of the local calendar with totals and groups      <- buckets
    request_log.py   single checks, the newest first, and how many           <- raw events, found by way of the buckets
    bucket_ranges.py which buckets of which size add up to which steps: pure
    store.py         every statement, those on last uses of secrets too

The export reads through this face. Whatever is read is bounded by the months of its range.
"""

from portal.usage.history.request_log import RequestQuery, UsageRequest, count_requests, find_request, list_requests
from portal.usage.history.series import (
    UsageFilter,
    UsageGroup,
    UsageGroupTotals,
    UsagePoint,
    UsageQuery,
    UsageSeries,
    UsageTotals,
    count_calls,
    counted_until,
    query_before,
    top_usage,
    usage_series,
)
from portal.usage.history.store import LastUse, last_used_by_secret

__all__ = [
    "LastUse",
    "RequestQuery",
    "UsageFilter",
    "UsageGroup",
    "UsageGroupTotals",
    "UsagePoint",
    "UsageQuery",
    "UsageRequest",
    "UsageSeries",
    "UsageTotals",
    "count_calls",
    "count_requests",
    "counted_until",
    "find_request",
    "last_used_by_secret",
    "list_requests",
    "query_before",
    "top_usage",
    "usage_series",
]
