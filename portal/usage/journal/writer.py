"""The journal: what a process has answered, in files, before it answers.

`append` returns after write(2): from then on the records survive kill -9 of the process. A power failure can take what
was written within the last `sync_ms`, since the disk is asked (fsync) in groups, by a thread; 0 asks within `append`.

Failure modes. A failed or short write is cut back and repeated whole in a new segment; when that fails too the caller
gets JournalUnavailable, and nothing of the sequence may be answered for. (Whole records of the failed write may stay
where even the cut failed: counted without an answer, never answered without a count.) After a failed fsync the page
cache lies, so the records since the last good one are kept in memory and written whole into a new segment; until that
one is synced appends are refused, or a disk that never syncs would be answered for without end. After a failure that
no new segment mends `is_writable` is false and appends are refused at once, until the thread, which tries every half
second, has found the folder writable again: after a full disk once there is room to go on for a while (place.py).

A folder that is deleted or unmounted is noticed within a sync interval, by the files that have lost their name: what
they held is written whole where the folder is again, and until then appends are refused.

A process opens its own journal after forking: a child would inherit the lock on the parent's segment.
"""

import errno
import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

from portal.core.errors import Unavailable
from portal.core.ids import new_id
from portal.core.logs import get_log
from portal.usage.journal.format import HEADER_SIZE, encode_frames, segment_header
from portal.usage.journal.place import FULL, JournalPlace
from portal.usage.journal.segments import segment_path
from portal.usage.records import UsageRecord, encode_record

RETRY_SECONDS = 0.5
ATTEMPTS = 2
SEGMENT_SECONDS = 600.0
"""A segment is sealed at this age too, so that what is shipped leaves the disk of a quiet process as well."""
OPENING_SUFFIX = ".opening"
_log = get_log(__name__)


class JournalUnavailable(Unavailable):
    """The records could not be written; do not answer for them."""

    code = "JOURNAL_UNAVAILABLE"


class OpenSegment:
    """One segment that this process appends to: locked for as long as it is open, cut back when a write fails.

    `size` is where the next frame goes; `unsynced` is what the disk may not have yet, in order.
    """

    def __init__(self, folder: Path, incarnation: str, number: int) -> None:
        """Create and lock the file. Raises OSError, and then leaves none."""
        self.path = segment_path(folder, incarnation, number)
        self.size = HEADER_SIZE
        self.unsynced: list[bytes] = []
        self.has_synced_name = False
        # A shipper that saw an unlocked, empty segment would delete it: it gets its name after lock and header.
        opening = self.path.with_name(f".{self.path.name}{OPENING_SUFFIX}")
        self._file = os.open(opening, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_all(self._file, segment_header(incarnation))
            opening.replace(self.path)
        except OSError:
            os.close(self._file)
            opening.unlink(missing_ok=True)
            raise

    def append(self, frames: bytes) -> None:
        """Append frames by one write(2). Raises OSError: it is cut back then, and must not be appended to again."""
        try:
            _write_all(self._file, frames)
        except OSError:
            # Where even this fails, the unfinished frame stays at the end of a file that nobody continues.
            with suppress(OSError):
                os.ftruncate(self._file, self.size)
            raise
        self.size += len(frames)
        self.unsynced.append(frames)

    def take_unsynced(self) -> list[bytes]:
        """Return the frames that the disk may not have, and forget them."""
        frames, self.unsynced = self.unsynced, []
        return frames

    def sync(self) -> None:
        """Ask the disk for what was appended.

        Raises OSError, after which the page cache lies: write elsewhere, never sync this file again.
        """
        os.fsync(self._file)
        if not self.has_synced_name:
            _sync_folder(self.path.parent)
            self.has_synced_name = True

    @property
    def is_deleted(self) -> bool:
        """Return whether the file has lost its name, so that no shipper will ever see it."""
        return os.fstat(self._file).st_nlink == 0

    def read_all(self) -> list[bytes]:
        """Return every frame that the segment holds."""
        data, at = [], HEADER_SIZE
        while at < self.size and (part := os.pread(self._file, self.size - at, at)):
            data.append(part)
            at += len(part)
        return data

    def close(self) -> None:
        """Release the lock, so that the shipper may finish the file. One without a record is removed."""
        if self.size == HEADER_SIZE:
            with suppress(OSError):
                self.path.unlink()
        # What it held is synced or rescued by now, and on an error too the file is let go.
        with suppress(OSError):
            os.close(self._file)


class Journal:
    """Append-only segments of one process incarnation. `on_append` is called after each append, in the same thread."""

    def __init__(
        self, folder: Path, *, segment_bytes: int, sync_ms: int, on_append: Callable[[], None] | None = None
    ) -> None:
        self._place = JournalPlace(folder)
        self._segment_bytes = segment_bytes
        self._sync_seconds = sync_ms / 1000
        self._on_append = on_append
        self.failure_count = 0
        self._incarnation = ""
        self._number = 0
        self._started_at = 0.0
        self._segment: OpenSegment | None = None
        self._sealed: list[OpenSegment] = []
        self._unplaced: list[bytes] = []
        self._failure: OSError | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_writable(self) -> bool:
        """Return whether appends are taken: false from a failure until the thread has written to a new segment."""
        return self._segment is not None and not self._unplaced and self._failure is None

    def open(self) -> None:
        """Start a new incarnation with its first segment. Raises JournalUnavailable."""
        self._incarnation = new_id("").removeprefix("_")
        self._failure = None
        self._closing.clear()
        try:
            self._place.open()
            self._segment = self._new_segment()
        except OSError as error:
            raise self._unavailable(error) from error
        self._thread = threading.Thread(target=self._sync_until_closed, name="journal-sync", daemon=True)
        self._thread.start()

    def append(self, records: Sequence[UsageRecord]) -> None:
        """Write all the records or none, by one write(2). Raises JournalUnavailable."""
        frames = encode_frames(map(encode_record, records))
        with self._lock:
            if self._failure is not None:
                raise self._unavailable(self._failure)
            self._write(frames)
        if self._on_append is not None:
            self._on_append()

    def close(self) -> None:
        """Sync and seal what is open. Idempotent."""
        if self._thread is None:
            return
        self._closing.set()
        self._thread.join()
        self._thread = None
        self._sync()
        if self._unplaced:
            self._recover()
        with self._lock:
            self._seal()
        self._sync()

    def _write(self, frames: bytes) -> None:
        """Write with the lock held; frames that lost their segment before go first."""
        data = b"".join((*self._unplaced, frames)) if self._unplaced else frames
        for _ in range(ATTEMPTS):
            try:
                segment = self._segment = self._segment or self._new_segment()
                self._write_to(segment, data)
            except OSError as error:
                failure = error
                self._seal()
                continue
            self._unplaced.clear()
            if segment.size >= self._segment_bytes:
                self._seal()
                self._start_next()
            return
        raise self._unavailable(failure) from failure

    def _write_to(self, segment: OpenSegment, data: bytes) -> None:
        segment.append(data)
        if not self._sync_seconds:
            # Whatever comes of it, nothing is left for the thread: after a failure the next segment gets all of it.
            segment.take_unsynced()
            segment.sync()

    def _new_segment(self) -> OpenSegment:
        self._number += 1
        self._started_at = monotonic()
        self._place.check()
        return OpenSegment(self._place.folder, self._incarnation, self._number)

    def _start_next(self) -> None:
        """Open a segment ahead of the next append, which tries again should this fail."""
        try:
            self._segment = self._new_segment()
        except OSError as error:
            _log.error("journal_segment_refused", folder=str(self._place.folder), error=str(error))

    def _seal(self) -> None:
        """End the appends to the segment: the thread syncs what is left to sync, and closes it."""
        if self._segment is not None:
            self._sealed.append(self._segment)
            self._segment = None

    def _unavailable(self, failure: OSError) -> JournalUnavailable:
        if self._failure is None:
            self.failure_count += 1
            _log.error("journal_unavailable", folder=str(self._place.folder), error=str(failure))
        self._failure = failure
        return JournalUnavailable(
            f"The usage journal in {self._place.folder} cannot be written: {failure.strerror}.",
            hint="Make room on its disk, or mend it.",
        )

    def _sync_until_closed(self) -> None:
        while not self._closing.wait(self._sync_pause()):
            self._seal_if_old()
            self._rescue_deleted()
            self._sync()
            if not self.is_writable:
                self._recover()

    def _seal_if_old(self) -> None:
        with self._lock:
            is_old = monotonic() - self._started_at > SEGMENT_SECONDS
            if is_old and self._segment is not None and self._segment.size > HEADER_SIZE:
                self._seal()
                self._start_next()

    def _sync_pause(self) -> float:
        return min(self._sync_seconds or RETRY_SECONDS, RETRY_SECONDS) if self.is_writable else RETRY_SECONDS

    def _sync(self) -> None:
        with self._lock:
            sealed, self._sealed = self._sealed, []
            segments = [*sealed, self._segment] if self._segment else sealed
            unsynced = [(segment, segment.take_unsynced()) for segment in segments]
        for segment, frames in unsynced:
            try:
                if frames:
                    segment.sync()
            except OSError as error:
                self._rescue(segment, frames, error)
        for segment in sealed:
            segment.close()

    def _rescue_deleted(self) -> None:
        """Take back what is in a file that somebody deleted: no shipper will see it, and checks were answered by it."""
        with self._lock:
            segment = self._segment
            if segment is None or not segment.is_deleted:
                return
            segment.take_unsynced()
            self._unplaced += segment.read_all()
            self.failure_count += self._failure is None
            self._failure = OSError(errno.ENOENT, "a file of it was deleted")
            self._seal()
        _log.error("journal_deleted", segment=str(segment.path), bytes=segment.size)

    def _rescue(self, segment: OpenSegment, frames: list[bytes], error: OSError) -> None:
        """Keep the segment's frames since its last good sync for a new one: none of them counts as written any more."""
        _log.error("journal_sync_failed", segment=segment.path.name, error=str(error))
        with self._lock:
            self._unplaced += frames + segment.take_unsynced()
            self.failure_count += self._failure is None
            self._failure = error
            if self._segment is segment:
                self._seal()

    def _recover(self) -> None:
        """Write the frames that lost their segment into a new one, or at least open one again."""
        with self._lock:
            try:
                if self._failure is not None and self._failure.errno in FULL and not self._place.has_room():
                    return
                self._write(b"")
            except OSError:
                return
            except JournalUnavailable:
                return
        self._sync()
        with self._lock:
            if self._unplaced:
                return
            self._failure = None
        _log.info("journal_writable_again", folder=str(self._place.folder))


def _write_all(file: int, data: bytes) -> None:
    if os.write(file, data) != len(data):
        raise OSError(errno.ENOSPC, "the disk took only a part")


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
