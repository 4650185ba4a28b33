"""The request log: single counted checks of an account, newest first.

Its rows are the raw events. A filter could match one row of a million, so the quarter-hour buckets, which have the same
columns, show first where such rows are: the log needs no index of its own, which every ingested event would pay for.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from portal.core.database import Tx
from portal.core.errors import Invalid
from portal.usage.history import store
from portal.usage.history.series import UsageFilter, count_calls
from portal.usage.history.store import EventPosition, EventQuery
from portal.usage.records import Denial, occurred_at, read_denial
from portal.usage.rules import QUARTER, ceil_to, check_range, floor_to

MAX_RANGE = timedelta(days=400)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class UsageRequest:
    """One counted check. `period` is its billing period, `settled_at` when its cost was replaced.

    `denial`: what a denied one lacked; None for those that older versions counted.
    """

    request_id: str
    occurred_at: datetime
    key_id: str
    secret_id: str
    environment: str
    resource: str
    code: str
    cost: int
    period: str
    settled_at: datetime | None
    denial: Denial | None


@dataclass(frozen=True, slots=True)
class RequestQuery:
    """[start, end), both aware."""

    start: datetime
    end: datetime
    filter: UsageFilter = field(default_factory=UsageFilter)


async def list_requests(
    tx: Tx, account_id: str, query: RequestQuery, *, limit: int, after: EventPosition | None = None
) -> list[UsageRequest]:
    """Return at most `limit` requests that follow `after`. Raises Invalid for a range that is not served."""
    events = _event_query(query, limit, after)
    if events.start >= events.end:
        return []
    rows = await (_search(tx, account_id, events) if events.filters else store.list_page(tx, account_id, events))
    return [_request(row) for row in rows]


async def count_requests(tx: Tx, account_id: str, query: RequestQuery) -> int:
    """Count the requests exactly: whole quarter-hours from the buckets, what sticks out at the ends from the events."""
    events = _event_query(query, 0, None)
    start, end = ceil_to(events.start, QUARTER), floor_to(events.end, QUARTER)
    if "resource" in events.filters or start >= end:
        return await store.count_events(tx, account_id, events)
    count = await count_calls(tx, account_id, start, end, query.filter)
    for first, last in ((events.start, start), (end, events.end)):
        if first < last:
            count += await store.count_events(tx, account_id, replace(events, start=first, end=last))
    return count


async def find_request(tx: Tx, account_id: str, request_id: str) -> UsageRequest | None:
    """Return the request of an id; None for another account's, one that was never counted, and a text that is no id."""
    try:
        at = occurred_at(request_id)
    except ValueError:
        return None
    row = await store.find_event(tx, account_id, at, request_id)
    return None if row is None else _request(row)


async def _search(tx: Tx, account_id: str, query: EventQuery) -> list[Row[Any]]:
    """Return what matches by way of the quarter-hours that the buckets name.

    Each has a matching event, but for the two at the ends and for resources beyond the thousandth.
    """
    rows: list[Row[Any]] = []
    rest = query
    while len(rows) < query.limit:
        quarters = await store.list_quarters(tx, account_id, replace(rest, limit=query.limit + 2))
        if quarters:
            missing = replace(rest, limit=query.limit - len(rows))
            rows += await store.list_page_of_quarters(tx, account_id, missing, quarters)
        if len(quarters) < query.limit + 2 or quarters[-1] <= query.start:
            break
        rest = replace(rest, end=quarters[-1])
    return rows


def _event_query(query: RequestQuery, limit: int, after: EventPosition | None) -> EventQuery:
    """Return the query for the store.

    The position also bounds the range, so that months that were paged through are not looked at again.
    """
    start, end = check_range(query.start, query.end)
    if end - start > MAX_RANGE:
        raise Invalid(
            f"The request log shows {MAX_RANGE.days} days at once at most.",
            hint="Ask for a shorter time.",
            path=("from",),
        )
    end = min(end, after[0] + _TICK) if after else end
    return EventQuery(start, end, query.filter.columns(), limit, after)


def _request(row: Row[Any]) -> UsageRequest:
    values = {name: getattr(row, name) for name in UsageRequest.__dataclass_fields__}
    return UsageRequest(**values | {"denial": read_denial(row.denial)})
