"""Watch every few seconds where usage and invoices can pile up, for the metrics; log an error when the journal does."""

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic

from portal.billing import count_overdue
from portal.core.clock import utc_now
from portal.core.concurrency.worker_loop import every
from portal.core.database import Database
from portal.core.logs import get_log
from portal.core.messaging.bus import USAGE_RECORDED
from portal.core.messaging.outbox import measure_outbox
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
    outbox_events: int | None = None
    outbox_seconds: float | None = None


class UsageMonitor:
    """`broker` None: usage does not go through one. `grace` is how long after its month an invoice may wait."""

    def __init__(self, folder: Path, database: Database, broker: RabbitBus | None, grace: timedelta) -> None:
        self.state = UsageState()
        self._folder = folder
        self._database = database
        self._broker = broker
        self._grace = grace
        self._recent_bytes: deque[int] = deque(maxlen=ROUNDS)
        self._looked_at = monotonic()
        self._unconsumed_since: float | None = None

    def oldest_seconds(self) -> float:
        """Return the age, now, of the oldest record in the journal, or of a queue that nobody consumes."""
        now = monotonic()
        backlog = self.state.backlog_seconds or 0.0
        in_journal = backlog + now - self._looked_at if backlog else 0.0
        return max(in_journal, 0.0 if self._unconsumed_since is None else now - self._unconsumed_since)

    async def look(self) -> None:
        """Read everything once. Raises nothing: what cannot be read is unknown."""
        state = UsageState()
        for read in (self._read_journal, self._read_broker, self._read_database):
            try:
                await read(state)
            except Exception as error:
                _log.debug("usage_not_watched", error=repr(error))
        self.state, self._looked_at = state, monotonic()
        self._alarm(state)

    async def _read_journal(self, state: UsageState) -> None:
        backlog = await asyncio.to_thread(journal_backlog, self._folder)
        state.backlog_bytes = backlog.bytes
        state.backlog_seconds = (utc_now() - backlog.oldest).total_seconds() if backlog.oldest else 0.0

    async def _read_broker(self, state: UsageState) -> None:
        if self._broker is not None:
            state.broker = status = await self._broker.status(USAGE_RECORDED)
            is_standing = status.waiting > 0 and status.consumers == 0
            if not is_standing:
                self._unconsumed_since = None
            elif self._unconsumed_since is None:
                self._unconsumed_since = monotonic()

    async def _read_database(self, state: UsageState) -> None:
        async with self._database.transaction() as tx:
            state.quarantined = await count_quarantined(tx)
            state.overdue = await count_overdue(tx, self._grace)
            state.outbox_events, since = await measure_outbox(tx)
            state.outbox_seconds = (tx.now - since).total_seconds() if since else 0.0

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
