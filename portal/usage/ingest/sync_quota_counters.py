"""Raise the quota counters in Redis to what is counted in PostgreSQL: without Redis they only lag."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

from portal.core.logs import first_line, get_log
from portal.usage.ingest.store import PeriodTotal

_log = get_log(__name__)
RaiseUsed = Callable[[str, str, int, int], Awaitable[None]]
"""(account_id, period, used, settled): the counter holds at least this much from now on; see PeriodTotal."""


async def sync_quota_counters(raise_used: RaiseUsed, totals: Sequence[PeriodTotal]) -> Exception | None:
    """Raise each period's counter in Redis to its newest total. Returns the first failure, or None.

    Raises nothing, logs an outage once: the totals are committed, and a counter that lags follows with the next usage.
    """
    newest = {(total.account_id, total.period): total for total in totals}
    answers = await asyncio.gather(*[_raise(raise_used, total) for total in newest.values()])
    failures = [answer for answer in answers if answer is not None]
    _outages.note(failures)
    return failures[0] if failures else None


QUIET_SECONDS = 10.0
"""Other shards' accounts go on meanwhile: an outage is over when nothing has failed for so long."""


class _Outages:
    """Logs that counters are not raised when that begins, once a reason (it names the shard), and when it is over."""

    def __init__(self) -> None:
        self._reasons: set[str] = set()
        self._failed_at = 0.0

    def note(self, failures: Sequence[Exception]) -> None:
        for reason in {first_line(error) for error in failures} - self._reasons:
            self._reasons.add(reason)
            count = sum(first_line(error) == reason for error in failures)
            _log.warning("quota_not_raised", accounts=count, error=reason)
        if failures:
            self._failed_at = monotonic()
        elif self._reasons and monotonic() - self._failed_at > QUIET_SECONDS:
            self._reasons.clear()
            _log.info("quota_raised_again")


_outages = _Outages()


async def _raise(raise_used: RaiseUsed, total: PeriodTotal) -> Exception | None:
    try:
        await raise_used(total.account_id, total.period, total.used, total.settled)
    except Exception as error:
        return error
    return None
