"""Look every few seconds at where usage and invoices can pile up, for the metrics; say loudly when the journal does."""

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from portal.billing import count_overdue
from portal.core.backoff import is_set_within
from portal.core.bus import USAGE_RECORDED
from portal.core.clock import utc_now
from portal.core.database import Database
from portal.core.logs import get_log
from portal.core.rabbit import BrokerStatus, RabbitBus
from portal.usage import count_quarantined, journal_backlog

EVERY_SECONDS = 5.0
ALARM_SECONDS = 60.0
"""So old a record that is not shipped is an alarm, which is repeated as often, unless the backlog has shrunk within
this time: after a start the courier gets as long to work on what it finds."""
LOOKS = round(ALARM_SECONDS / EVERY_SECONDS)
_log = get_log(__name__)


@dataclass
class UsageState:
    """As it was at the last look; None: it could not be asked."""

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
        self._seen: deque[int] = deque(maxlen=LOOKS)

    async def look(self) -> None:
        """Raises nothing: what cannot be asked is unknown."""
        state = UsageState()
        for ask in (self._ask_journal, self._ask_broker, self._ask_database):
            try:
                await ask(state)
            except Exception as error:
                _log.debug("usage_not_watched", error=repr(error))
        self.state = state
        self._alarm(state)

    async def _ask_journal(self, state: UsageState) -> None:
        backlog = await asyncio.to_thread(journal_backlog, self._folder)
        state.backlog_bytes = backlog.bytes
        state.backlog_seconds = (utc_now() - backlog.oldest).total_seconds() if backlog.oldest else 0.0

    async def _ask_broker(self, state: UsageState) -> None:
        if self._broker is not None:
            state.broker = await self._broker.status(USAGE_RECORDED)

    async def _ask_database(self, state: UsageState) -> None:
        async with self._database.transaction() as tx:
            state.quarantined = await count_quarantined(tx)
            state.overdue = await count_overdue(tx, self._grace)

    def _alarm(self, state: UsageState) -> None:
        if state.backlog_bytes is None:
            return
        seconds, shrank = state.backlog_seconds or 0.0, len(self._seen) < LOOKS or state.backlog_bytes < self._seen[0]
        if seconds > ALARM_SECONDS and not shrank:
            _log.error("journal_backlog", bytes=state.backlog_bytes, oldest_seconds=round(seconds))
            self._seen.clear()
        self._seen.append(state.backlog_bytes)


async def run(watch: UsageMonitor, stop: asyncio.Event) -> None:
    """Until stopped."""
    while not stop.is_set():
        await watch.look()
        await is_set_within(stop, EVERY_SECONDS)
