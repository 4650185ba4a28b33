"""The request log: single counted checks of an account, newest first.

Its rows are the raw events. A filter could match one row of a million, so the quarter-hour buckets, which have the same
columns, tell first where such rows are: the log needs no index of its own, which every ingested event would pay for.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from portal.core.database import Tx
from portal.core.errors import Invalid
from portal.usage.history import request_log_store as raw
from portal.usage.history import series_store as history
from portal.usage.history.bucket_ranges import plan_buckets
from portal.usage.history.request_log_store import EventQuery, Place
from portal.usage.history.series import UsageFilter
from portal.usage.records import occurred_at
from portal.usage.rules import QUARTER, Granularity, ceil_to, check_range, floor_to

MAX_RANGE = timedelta(days=400)
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class UsageRequest:
    """One counted check. `period` is its billing period, `settled_at` when its cost was replaced."""

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


@dataclass(frozen=True, slots=True)
class RequestQuery:
    """[start, end), both aware."""

    start: datetime
    end: datetime
    filter: UsageFilter = field(default_factory=UsageFilter)


async def list_requests(
    tx: Tx, account_id: str, query: RequestQuery, *, most: int, after: Place | None = None
) -> list[UsageRequest]:
    """At most so many that follow the place `after`. Raises Invalid for a range that is not served."""
    asked = _asked(query, most, after)
    if asked.start >= asked.end:
        return []
    rows = await (_search(tx, account_id, asked) if asked.only else raw.list_page(tx, account_id, asked))
    return [_request(row) for row in rows]


async def count_requests(tx: Tx, account_id: str, query: RequestQuery) -> int:
    """Exactly how many: whole quarter-hours from the buckets, what sticks out at the ends from the events."""
    asked = _asked(query, 0, None)
    start, end = ceil_to(asked.start, QUARTER), floor_to(asked.end, QUARTER)
    if "resource" in asked.only or start >= end:
        return await raw.count_events(tx, account_id, asked)
    covered = plan_buckets([start], end, Granularity.DAY)
    cells = await history.list_cells(tx, account_id, history.CellQuery(covered, None, asked.only, 1))
    count = sum(cell.calls for cell in cells)
    for first, last in ((asked.start, start), (end, asked.end)):
        if first < last:
            count += await raw.count_events(tx, account_id, replace(asked, start=first, end=last))
    return int(count)


async def find_request(tx: Tx, account_id: str, request_id: str) -> UsageRequest | None:
    """None for an id of another account, one that was never counted, and a text that is no id."""
    try:
        at = occurred_at(request_id)
    except ValueError:
        return None
    row = await raw.find_event(tx, account_id, at, request_id)
    return None if row is None else _request(row)


async def _search(tx: Tx, account_id: str, asked: EventQuery) -> list[Row[Any]]:
    """Each quarter-hour has a matching event, but for the two at the ends and for resources beyond the thousandth."""
    found: list[Row[Any]] = []
    rest = asked
    while len(found) < asked.most:
        quarters = await raw.list_quarters(tx, account_id, replace(rest, most=asked.most + 2))
        if quarters:
            missing = replace(rest, most=asked.most - len(found))
            found += await raw.list_page_of(tx, account_id, missing, quarters)
        if len(quarters) < asked.most + 2 or quarters[-1] <= asked.start:
            break
        rest = replace(rest, end=quarters[-1])
    return found


def _asked(query: RequestQuery, most: int, after: Place | None) -> EventQuery:
    """The place also bounds the range, so that months that were paged through are not looked at again."""
    start, end = check_range(query.start, query.end)
    if end - start > MAX_RANGE:
        raise Invalid(
            f"The request log shows {MAX_RANGE.days} days at once at most.",
            hint="Ask for a shorter time.",
            path=("from",),
        )
    end = min(end, after[0] + _INSTANT) if after else end
    return EventQuery(start, end, query.filter.columns(), most, after)


def _request(row: Row[Any]) -> UsageRequest:
    return UsageRequest(**{name: getattr(row, name) for name in UsageRequest.__dataclass_fields__})
