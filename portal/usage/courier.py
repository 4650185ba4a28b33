"""The courier: one a node, it takes what every process of the node has journalled to the bus.

It ships batches of stored records to USAGE_RECORDED, the oldest segment first, and moves a segment's cursor only after
the bus has confirmed. A crash in between ships a batch again, which ingest recognises. A segment that nobody writes any
more is deleted once all of it is shipped. While the bus is away the journal grows and nothing is lost.

Damage in the middle of a segment is never stepped over: what stands before it is shipped, the file is set aside under
another name once its writer is gone, and JournalDamaged says where.
"""

import asyncio
import fcntl
import os
from pathlib import Path

from portal.core.backoff import Backoff, is_set_within
from portal.core.bus import USAGE_RECORDED, Bus
from portal.core.errors import PortalError
from portal.core.logs import get_log
from portal.usage.records import join_batch
from portal.usage.segments import (
    Portion,
    delete_segment,
    list_segments,
    load_cursor,
    read_portion,
    save_cursor,
    set_aside,
    size_of,
)

POLL_SECONDS = 0.1
# Records gather for this long, so that a busy process costs the database some transactions a second, not hundreds.
LINGER_SECONDS = 0.05
THREAD_BYTES = 65_536
LOCK_NAME = "courier.lock"
_log = get_log(__name__)


class JournalDamaged(PortalError):
    """A segment has valid records after bytes that are none. Somebody has to look at the file."""

    code = "JOURNAL_DAMAGED"

    def __init__(self, file: Path, offset: int) -> None:
        super().__init__(f"{file} is damaged at byte {offset}.", hint="Valid records follow: restore or cut them out.")
        self.file = file
        self.offset = offset


class Courier:
    """`shipped`, `damaged` and `cut_bytes` count since the start. Only one courier works a folder; others wait."""

    def __init__(self, folder: Path, bus: Bus, batch: int) -> None:
        self.shipped = 0
        self.damaged = 0
        self.cut_bytes = 0
        self._folder = folder
        self._bus = bus
        self._batch = batch
        self._lock: int | None = None
        self._offsets: dict[str, int] = {}
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
                    await self.run_once()
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

    async def run_once(self) -> int:
        """Ship what every segment holds now. Returns the number of records, 0 where another courier is at work.

        Raises what the bus raises, and JournalDamaged once for each damaged segment, after shipping the others.
        """
        if not self._hold_lock():
            return 0
        before = self.shipped
        damage: JournalDamaged | None = None
        for path in list_segments(self._folder):
            try:
                await self._ship_segment(path)
            except JournalDamaged as error:
                damage = error
        if damage is not None:
            raise damage
        return self.shipped - before

    def close(self) -> None:
        """Let another courier take over. Idempotent."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _ship_segment(self, path: Path) -> None:
        offset = self._offsets.get(path.name)
        if offset is None:
            offset = load_cursor(path)
        size = size_of(path)
        while True:
            portion = await _read(path, offset, size, self._batch)
            if portion.payloads:
                await self._bus.publish(USAGE_RECORDED, join_batch(portion.payloads))
                self.shipped += len(portion.payloads)
                offset = portion.end
                self._keep_cursor(path, offset)
            if portion.damage_at is not None:
                self._meet_damage(path, portion.damage_at, is_final=portion.is_final)
            elif portion.is_final:
                self._finish(path, portion)
            # What has come since belongs to the next round, or one busy segment would hold up the others.
            if not portion.has_more or offset >= size:
                return

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

    def _meet_damage(self, path: Path, offset: int, *, is_final: bool) -> None:
        """Raises JournalDamaged the first time. A file that is still written keeps its name until it is not."""
        is_known = path.name in self._known_damage
        self._known_damage.add(path.name)
        if is_final:
            path = set_aside(path)
        if not is_known:
            self.damaged += 1
            _log.error("journal_damaged", segment=str(path), offset=offset)
            raise JournalDamaged(path, offset)

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


async def _read(path: Path, offset: int, size: int, most: int) -> Portion:
    """Large reads in a thread: the checks of this process go on meanwhile."""
    if size - offset > THREAD_BYTES:
        return await asyncio.to_thread(read_portion, path, offset, most)
    return read_portion(path, offset, most)
