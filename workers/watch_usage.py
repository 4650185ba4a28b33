"""Watch every few seconds where usage and invoices can pile up, for the metrics; log an error when the journal does."""

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from portal.billing import count_overdue
from portal.core.clock import utc_now
from portal.core.concurrency.backoff import every
from portal.core.database import Database
from portal.core.logs import get_log
from portal.core.messaging.bus import USAGE_RECORDED
from portal.core.rabbit import BrokerStatus, RabbitBus
from portal.usage import count_quarantined, journal_backlog

EVERY_SECONDS = 5.0
ALARM_SECONDS = 60.0
"""An unshipped record of this age is an alarm, which is repeated as often, unless the backlog has shrunk within this
time: after a start the shipper gets as long to work on what it finds."""
ROUNDS = round(ALARM_SECONDS / EVERY_SECONDS)
_log = get_log(__name__)


@dataclass
class UsageState:
    """What the last round saw; None: it could not be read."""

    backlog_bytes: int | None = None
    backlog_seconds: float | None = None
    broker: BrokerStatus | None = None
    quarantined: int | None = None
    overdue: int | None = None


class UsageMonitor:
    """`broker` None: usage does not go through one. `grace` is how long after its month an invoice may wait."""

    def __init__(self, folder: Path, database: Database, broker: RabbitBus | None, grace: timedelta) -> None:
        self.state = UsageState()
        self._folder = folder
        self._database = database
        self._broker = broker
        self._grace = grace
        self._recent_bytes: deque[int] = deque(maxlen=ROUNDS)

    async def look(self) -> None:
        """Read everything once. Raises nothing: what cannot be read is unknown."""
        state = UsageState()
        for read in (self._read_journal, self._read_broker, self._read_database):
            try:
                await read(state)
            except Exception as error:
                _log.debug("usage_not_watched", error=repr(error))
        self.state = state
        self._alarm(state)

    async def _read_journal(self, state: UsageState) -> None:
        backlog = await asyncio.to_thread(journal_backlog, self._folder)
        state.backlog_bytes = backlog.bytes
        state.backlog_seconds = (utc_now() - backlog.oldest).total_seconds() if backlog.oldest else 0.0

    async def _read_broker(self, state: UsageState) -> None:
        if self._broker is not None:
            state.broker = await self._broker.status(USAGE_RECORDED)

    async def _read_database(self, state: UsageState) -> None:
        async with self._database.transaction() as tx:
            state.quarantined = await count_quarantined(tx)
            state.overdue = await count_overdue(tx, self._grace)

    def _alarm(self, state: UsageState) -> None:
        if state.backlog_bytes is None:
            return
        seconds = state.backlog_seconds or 0.0
        has_shrunk = len(self._recent_bytes) < ROUNDS or state.backlog_bytes < self._recent_bytes[0]
        if seconds > ALARM_SECONDS and not has_shrunk:
            _log.error("journal_backlog", bytes=state.backlog_bytes, oldest_seconds=round(seconds))
            self._recent_bytes.clear()
        self._recent_bytes.append(state.backlog_bytes)


async def run(monitor: UsageMonitor, stop: asyncio.Event) -> None:
    """Watch until stopped."""
    await every(EVERY_SECONDS, monitor.look, "watch_usage", stop)
