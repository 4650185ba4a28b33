"""Count the batches that couriers put on the bus, and raise the quota counters in Redis to what is counted."""

import asyncio
from collections.abc import Awaitable, Callable

from portal.core.bus import Handler
from portal.core.database import Database
from portal.core.logs import get_log
from portal.usage import Ingested, Merger, PeriodUse, Retention

RaiseUsed = Callable[[str, str, int, int], Awaitable[None]]
"""(account_id, period, used, settled): the counter holds at least this much from now on; see PeriodUse."""

_log = get_log(__name__)


def handler(database: Database, raise_used: RaiseUsed) -> Handler:
    """Returns for a batch once it is committed; an error keeps the batch with the bus."""
    return merger(database, raise_used).add


def merger(database: Database, raise_used: RaiseUsed, retention: Retention | None = None) -> Merger:
    """Everything that one process ingests goes through one of these. Without a retention nothing is too late."""

    async def raise_all(told: Ingested) -> None:
        await asyncio.gather(*[_raise(raise_used, total) for total in told.totals])

    return Merger(database, raise_all, retention)


async def _raise(raise_used: RaiseUsed, total: PeriodUse) -> None:
    """The batch is counted: without Redis only the counter lags, and the next batch raises it."""
    try:
        await raise_used(total.account_id, total.period, total.used, total.settled)
    except Exception as error:
        _log.warning("quota_not_raised", account_id=total.account_id, period=total.period, error=repr(error))
