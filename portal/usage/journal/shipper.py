"""The courier: one a node, it takes what every process of the node has journalled to the bus.

It ships batches of stored records to USAGE_RECORDED, several at once, and moves a segment's cursor only in order, over
what the bus has confirmed. A crash in between ships a batch again, which ingest recognises. A segment that nobody
writes any more is deleted once all of it is shipped.

While the bus is away the journal grows and nothing is lost. When it is back, what happens now goes first, and what has
gathered follows by turns, no faster than it is ingested: a backlog of hours must not make the present late.

Damage in the middle of a segment is never stepped over: what stands before it is shipped, the file is set aside under
another name once its writer is gone, and JournalDamaged says where.
"""

import asyncio
import fcntl
import os
from collections import deque
from pathlib import Path

from portal.core.backoff import Backoff, is_set_within
from portal.core.bus import USAGE_RECORDED, Bus
from portal.core.errors import PortalError
from portal.core.logs import get_log
from portal.usage.journal.publish_window import PublishWindow
from portal.usage.journal.segments import (
    Portion,
    delete_segment,
    incarnation_of,
    list_segments,
    load_cursor,
    read_portion,
    save_cursor,
    set_aside,
    size_of,
)
from portal.usage.records import join_batch

POLL_SECONDS = 0.1
# Records gather for this long, so that a busy process costs the database some transactions a second, not hundreds.
LINGER_SECONDS = 0.05
THREAD_BYTES = 65_536
IN_FLIGHT = 8
BACKLOG_TURN = 8
"""Batches of the past between two looks at the present."""
MAX_BACKLOG_WAITING = 16
"""Messages that nobody has ingested yet, with which the past waits."""
LOCK_NAME = "courier.lock"
_log = get_log(__name__)


class JournalDamaged(PortalError):
    """A segment has valid records after bytes that are none. Somebody has to look at the file."""

    code = "JOURNAL_DAMAGED"

    def __init__(self, file: Path, offset: int) -> None:
        super().__init__(f"{file} is damaged at byte {offset}.", hint="Valid records follow: restore or cut them out.")
        self.file = file
        self.offset = offset


class JournalShipper:
    """`shipped`, `damaged` and `cut_bytes` count since the start. Only one courier works a folder; others wait."""

    def __init__(self, folder: Path, bus: Bus, batch: int, in_flight: int = IN_FLIGHT) -> None:
        self.shipped = 0
        self.damaged = 0
        self.cut_bytes = 0
        self._folder = folder
        self._bus = bus
        self._batch = batch
        self._in_flight = in_flight
        self._lock: int | None = None
        self._offsets: dict[str, int] = {}
        self._sent: dict[str, int] = {}
        self._damage: JournalDamaged | None = None
        self._known_damage: set[str] = set()
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """There is something in the journal: ship it soon. For the journal's `on_append`, on the loop's thread."""
        self._awake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Ship until stopped; trouble is logged and tried again."""
        backoff = Backoff()
        try:
            while not stop.is_set():
                try:
                    await self.run_once(stop)
                    backoff.reset()
                except JournalDamaged:
                    continue
                except Exception as error:
                    seconds = backoff.next_seconds()
                    _log.warning("journal_not_shipped", error=repr(error), retry_seconds=seconds)
                    await is_set_within(stop, seconds)
                    continue
                await self._wait(stop)
        finally:
            self.close()

    async def run_once(self, stop: asyncio.Event | None = None) -> int:
        """Ship what every segment holds now. Returns the number of records, 0 where another courier is at work.

        Less than all when it is stopped or when ingest lags behind: the next call goes on from there. Raises what the
        bus raises, and JournalDamaged once for each damaged segment, after shipping the others.
        """
        if not self._hold_lock():
            return 0
        before, self._damage = self.shipped, None
        flights = PublishWindow(self._in_flight)
        try:
            await self._ship_all(flights, stop)
            await flights.settle()
        finally:
            await flights.abandon()
            self._sent.clear()
        if self._damage is not None:
            raise self._damage
        return self.shipped - before

    def close(self) -> None:
        """Let another courier take over. Idempotent."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _ship_all(self, flights: PublishWindow, stop: asyncio.Event | None) -> None:
        past = _of_the_past(list_segments(self._folder))
        while True:
            for path in list_segments(self._folder):
                if path not in past:
                    await self._ship_segment(path, flights)
            if not past or (stop is not None and stop.is_set()):
                return
            if await self._bus.waiting(USAGE_RECORDED) > MAX_BACKLOG_WAITING:
                return
            if await self._ship_segment(past[0], flights, turn=BACKLOG_TURN):
                past.popleft()

    async def _ship_segment(self, path: Path, flights: PublishWindow, turn: int | None = None) -> bool:
        """At most `turn` batches. Returns whether all that it held at the start is under way or done with."""
        offset = self._offset_of(path)
        size = size_of(path)
        while turn is None or turn > 0:
            portion = await _read(path, offset, size, self._batch)
            if portion.payloads:
                await self._send(path, portion, flights)
                offset = portion.end
                turn = None if turn is None else turn - 1
            if portion.damage_at is not None:
                await flights.settle()
                self._meet_damage(path, portion.damage_at, is_final=portion.is_final)
            elif portion.is_final:
                await flights.settle()
                self._finish(path, portion)
            # What has come since belongs to the next round, or one busy segment would hold up the others.
            if not portion.has_more or offset >= size:
                return True
        return False

    def _offset_of(self, path: Path) -> int:
        """Up to where its records are under way or confirmed."""
        offset = self._sent.get(path.name, self._offsets.get(path.name))
        return load_cursor(path) if offset is None else offset

    async def _send(self, path: Path, portion: Portion, flights: PublishWindow) -> None:
        def confirmed() -> None:
            self.shipped += len(portion.payloads)
            self._keep_cursor(path, portion.end)

        self._sent[path.name] = portion.end
        await flights.add(self._bus.publish(USAGE_RECORDED, join_batch(portion.payloads)), confirmed)

    def _keep_cursor(self, path: Path, offset: int) -> None:
        self._offsets[path.name] = offset
        try:
            save_cursor(path, offset)
        except OSError as error:
            # A full disk must not stop what makes room on it; a restart ships from the older cursor.
            _log.warning("journal_cursor_not_saved", segment=path.name, error=str(error))

    def _finish(self, path: Path, portion: Portion) -> None:
        if portion.cut_bytes:
            self.cut_bytes += portion.cut_bytes
            _log.warning("journal_end_cut", segment=path.name, offset=portion.end, bytes=portion.cut_bytes)
        delete_segment(path)
        self._offsets.pop(path.name, None)
        self._sent.pop(path.name, None)

    def _meet_damage(self, path: Path, offset: int, *, is_final: bool) -> None:
        """Remembered for the end of the round, once. A file that is still written keeps its name until it is not."""
        is_known = path.name in self._known_damage
        self._known_damage.add(path.name)
        if is_final:
            path = set_aside(path)
        if not is_known:
            self.damaged += 1
            _log.error("journal_damaged", segment=str(path), offset=offset)
            self._damage = JournalDamaged(path, offset)

    def _hold_lock(self) -> bool:
        if self._lock is not None:
            return True
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self._folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._lock = file
        self._offsets.clear()
        return True

    async def _wait(self, stop: asyncio.Event) -> None:
        """For the next records of this process, at most POLL_SECONDS for those of others."""
        if not await is_set_within(self._awake, POLL_SECONDS):
            return
        await is_set_within(stop, LINGER_SECONDS)
        self._awake.clear()


def _of_the_past(segments: list[Path]) -> deque[Path]:
    """Those after which their process has begun another one, the oldest first."""
    newest = {incarnation_of(path): path for path in segments}
    return deque(path for path in segments if newest[incarnation_of(path)] != path)


async def _read(path: Path, offset: int, size: int, most: int) -> Portion:
    """Large reads in a thread: the checks of this process go on meanwhile."""
    if size - offset > THREAD_BYTES:
        return await asyncio.to_thread(read_portion, path, offset, most)
    return read_portion(path, offset, most)
