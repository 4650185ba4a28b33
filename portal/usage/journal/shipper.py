"""The shipper: one a node, it takes what every process of the node has journalled to the bus.

It ships batches of stored records to USAGE_RECORDED, several at once, and moves a segment's cursor only in order, over
what the bus has confirmed. A crash in between ships a batch again, which ingest recognises. A segment that nobody
writes any more is kept for some hours once all of it is shipped, see kept.py, then deleted.

While the bus is away the journal grows and nothing is lost. When it is back, the segments that are being written go
first, and the backlog follows by turns, no faster than it is ingested: hours of it must not make new records late.

Damage in the middle of a segment is never stepped over: what stands before it is shipped, the file is set aside under
another name once its writer is gone, and JournalDamaged says where.
"""

import asyncio
import fcntl
import os
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

from portal.core.concurrency.worker_loop import Backoff, is_set_within, rounds_of
from portal.core.errors import PortalError
from portal.core.logs import first_line, get_log
from portal.core.messaging.bus import USAGE_RECORDED, Bus
from portal.usage.journal.segments import (
    SegmentChunk,
    incarnation_of,
    list_segments,
    load_cursor,
    read_chunk,
    save_cursor,
    set_aside,
    size_of,
)
from portal.usage.journal.shipped_segments import keep_segment, purge_kept
from portal.usage.records import join_batch

POLL_SECONDS = 0.1
PURGE_SECONDS = 60.0
# Records gather for this long, so that a busy process costs the database some transactions a second, not hundreds.
LINGER_SECONDS = 0.05
THREAD_BYTES = 65_536
MAX_IN_FLIGHT = 8
"""Batches published and not confirmed yet: several, since each waits for the broker's disk."""
BACKLOG_TURN = 8
"""Batches of the backlog between two rounds over the newest segments."""
MAX_BACKLOG_WAITING = 16
"""While more messages than this wait to be ingested, the backlog waits too."""
NAME = "ship_journal"
LOCK_NAME = "courier.lock"
"""Its name is frozen: shippers of an older version hold it too."""
OnConfirmed = Callable[[], None]
_log = get_log(__name__)


class JournalDamaged(PortalError):
    """A segment has valid records after bytes that are none. Somebody has to look at the file."""

    code = "JOURNAL_DAMAGED"

    def __init__(self, file: Path, offset: int) -> None:
        super().__init__(f"{file} is damaged at byte {offset}.", hint="Valid records follow: restore or cut them out.")
        self.file = file
        self.offset = offset


class PublishWindow:
    """Publishes under way, at most `size`, confirmed strictly in their order.

    What follows a failed one counts as not confirmed, even where the broker has it.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._publishes: deque[tuple[asyncio.Task[None], OnConfirmed]] = deque()

    async def start(self, publish: Coroutine[Any, Any, None], on_confirmed: OnConfirmed) -> None:
        """Start a publish and wait until there is room for the next. Raises what the oldest one raised."""
        self._publishes.append((asyncio.create_task(publish), on_confirmed))
        while len(self._publishes) >= self._size or (self._publishes and self._publishes[0][0].done()):
            await self._confirm_oldest()

    async def confirm_all(self) -> None:
        """Wait until all are confirmed. Raises what the first that failed raised."""
        while self._publishes:
            await self._confirm_oldest()

    async def cancel(self) -> None:
        """End every publish under way; nothing else will be confirmed. Idempotent."""
        tasks = [task for task, _ in self._publishes]
        self._publishes.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _confirm_oldest(self) -> None:
        task, on_confirmed = self._publishes[0]
        await asyncio.wait({task})
        self._publishes.popleft()
        task.result()
        on_confirmed()


class JournalShipper:
    """`shipped`, `damaged` and `cut_bytes` count since the start. Only one shipper works on a folder; others wait."""

    def __init__(
        self, folder: Path, bus: Bus, batch: int, in_flight: int = MAX_IN_FLIGHT, *, keep_seconds: float = 0.0
    ) -> None:
        """`keep_seconds`: how long a shipped segment is kept, see kept.py; 0 deletes it at once."""
        self.shipped = 0
        self.damaged = 0
        self.cut_bytes = 0
        self._folder = folder
        self._bus = bus
        self._batch = batch
        self._in_flight = in_flight
        self._keep_seconds = keep_seconds
        self._purge_at = 0.0
        self._lock: int | None = None
        self._offsets: dict[str, int] = {}
        self._published: dict[str, int] = {}
        self._is_cursor_behind = False
        self._damage: JournalDamaged | None = None
        self._known_damage: set[str] = set()
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """Ship soon: there is something in the journal. For the journal's `on_append`, on the loop's thread."""
        self._awake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Ship until stopped; failures are logged and tried again."""
        backoff, rounds = Backoff(), rounds_of(NAME)
        try:
            while not stop.is_set():
                rounds.begin()
                try:
                    await self.run_once(stop)
                    backoff.reset()
                    rounds.succeed()
                except JournalDamaged:
                    continue
                except Exception as error:
                    rounds.fail()
                    seconds = backoff.next_seconds()
                    _log.warning("journal_not_shipped", error=first_line(error), retry_seconds=seconds)
                    await is_set_within(stop, seconds)
                    continue
                await self._wait(stop)
        finally:
            self.close()

    async def run_once(self, stop: asyncio.Event | None = None) -> int:
        """Ship what every segment holds now. Returns the number of records, 0 where another shipper is at work.

        Less than all when it is stopped or when ingest lags behind: the next call goes on from there. Raises what the
        bus raises, and JournalDamaged once for each damaged segment, after shipping the others.
        """
        if not self._acquire_lock():
            return 0
        before, self._damage = self.shipped, None
        window = PublishWindow(self._in_flight)
        try:
            await self._ship_all(window, stop)
            await window.confirm_all()
            self._purge_kept()
        finally:
            await window.cancel()
            self._published.clear()
        if self._damage is not None:
            raise self._damage
        return self.shipped - before

    def close(self) -> None:
        """Let another shipper take over. Idempotent."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _ship_all(self, window: PublishWindow, stop: asyncio.Event | None) -> None:
        backlog = _sealed_segments(list_segments(self._folder))
        while True:
            for path in list_segments(self._folder):
                if path not in backlog:
                    await self._ship_segment(path, window)
            if not backlog or (stop is not None and stop.is_set()):
                return
            if await self._bus.waiting(USAGE_RECORDED) > MAX_BACKLOG_WAITING:
                return
            if await self._ship_segment(backlog[0], window, max_batches=BACKLOG_TURN):
                backlog.popleft()

    async def _ship_segment(self, path: Path, window: PublishWindow, max_batches: int | None = None) -> bool:
        """Ship at most `max_batches`. Returns whether all that it held at the start is under way or confirmed."""
        offset = self._offset_of(path)
        size = size_of(path)
        while max_batches is None or max_batches > 0:
            chunk = await _read(path, offset, size, self._batch)
            if chunk.payloads:
                await self._publish(path, chunk, window)
                offset = chunk.end
                max_batches = None if max_batches is None else max_batches - 1
            if chunk.damage_at is not None:
                await window.confirm_all()
                self._report_damage(path, chunk.damage_at, is_final=chunk.is_final)
            elif chunk.is_final:
                await window.confirm_all()
                self._finish(path, chunk)
            # What has come since belongs to the next round, or one busy segment would hold up the others.
            if not chunk.has_more or offset >= size:
                return True
        return False

    def _offset_of(self, path: Path) -> int:
        """Return up to where the segment's records are under way or confirmed."""
        offset = self._published.get(path.name, self._offsets.get(path.name))
        return load_cursor(path) if offset is None else offset

    async def _publish(self, path: Path, chunk: SegmentChunk, window: PublishWindow) -> None:
        def on_confirmed() -> None:
            self.shipped += len(chunk.payloads)
            self._advance_cursor(path, chunk.end)

        self._published[path.name] = chunk.end
        await window.start(self._bus.publish(USAGE_RECORDED, join_batch(chunk.payloads)), on_confirmed)

    def _advance_cursor(self, path: Path, offset: int) -> None:
        self._offsets[path.name] = offset
        try:
            save_cursor(path, offset)
        except OSError as error:
            # A full disk must not stop what makes room on it; a restart ships from the older cursor.
            if not self._is_cursor_behind:
                _log.warning("journal_cursor_not_saved", segment=path.name, error=str(error))
            self._is_cursor_behind = True
        else:
            self._is_cursor_behind = False

    def _finish(self, path: Path, chunk: SegmentChunk) -> None:
        if chunk.cut_bytes:
            self.cut_bytes += chunk.cut_bytes
            _log.warning("journal_end_cut", segment=path.name, offset=chunk.end, bytes=chunk.cut_bytes)
        keep_segment(path, self._keep_seconds)
        self._offsets.pop(path.name, None)
        self._published.pop(path.name, None)

    def _purge_kept(self) -> None:
        """Every minute, end what was kept for long enough."""
        if monotonic() >= self._purge_at:
            self._purge_at = monotonic() + PURGE_SECONDS
            with suppress(OSError):
                purge_kept(self._folder, self._keep_seconds)

    def _report_damage(self, path: Path, offset: int, *, is_final: bool) -> None:
        """Raise it at the end of the round, once. A file that is still written keeps its name until it is not."""
        is_known = path.name in self._known_damage
        self._known_damage.add(path.name)
        if is_final:
            path = set_aside(path)
        if not is_known:
            self.damaged += 1
            _log.error("journal_damaged", segment=str(path), offset=offset)
            self._damage = JournalDamaged(path, offset)

    def _acquire_lock(self) -> bool:
        if self._lock is not None and os.fstat(self._lock).st_nlink:
            return True
        self.close()
        try:
            file = os.open(self._folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            # Its writers make the folder when they start. Made here, it could be on the disk beneath its volume.
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._lock = file
        self._offsets.clear()
        return True

    async def _wait(self, stop: asyncio.Event) -> None:
        """Wait for the next records of this process, at most POLL_SECONDS for those of others."""
        if not await is_set_within(self._awake, POLL_SECONDS):
            return
        await is_set_within(stop, LINGER_SECONDS)
        self._awake.clear()


def _sealed_segments(segments: list[Path]) -> deque[Path]:
    """Return the segments after which their process has started another one, the oldest first."""
    newest = {incarnation_of(path): path for path in segments}
    return deque(path for path in segments if newest[incarnation_of(path)] != path)


async def _read(path: Path, offset: int, size: int, max_records: int) -> SegmentChunk:
    """Read a chunk, a large one in a thread: the checks of this process go on meanwhile."""
    if size - offset > THREAD_BYTES:
        return await asyncio.to_thread(read_chunk, path, offset, max_records)
    return read_chunk(path, offset, max_records)
