"""Raise the quota counters in Redis to what is counted in PostgreSQL: without Redis they only lag."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from portal.core.logs import get_log
from portal.usage.ingest.store import PeriodTotal

RaiseUsed = Callable[[str, str, int, int], Awaitable[None]]
"""(account_id, period, used, settled): the counter holds at least this much from now on; see PeriodTotal."""


async def sync_quota_counters(raise_used: RaiseUsed, totals: Sequence[PeriodTotal]) -> Exception | None:
    """Raise each period's counter in Redis to its newest total. Returns the first failure, or None.

    Raises nothing, logs each failure: the totals are committed, and a counter that lags follows with the next usage.
    """
    newest = {(total.account_id, total.period): total for total in totals}
    failures = await asyncio.gather(*[_raise(raise_used, total) for total in newest.values()])
    return next(filter(None, failures), None)


async def _raise(raise_used: RaiseUsed, total: PeriodTotal) -> Exception | None:
    try:
        await raise_used(total.account_id, total.period, total.used, total.settled)
    except Exception as error:
        get_log(__name__).warning(
            "quota_not_raised", account_id=total.account_id, period=total.period, error=repr(error)
        )
        return error
    return None
