"""The journal: what a process has answered, in files, before it answers.

`append` returns after write(2): from then on the records survive kill -9 of the process. A power failure can take what
was written within the last `sync_ms`, since the disk is asked (fsync) in groups, by a thread; 0 asks within `append`.

Failure modes. A failed or short write is cut back and repeated whole in a new segment; when that fails too the caller
gets JournalUnavailable, and nothing of the sequence may be answered for. (Whole records of the failed write may stay
where even the cut failed: counted without an answer, never answered without a count.) After a failed fsync the page
cache lies, so the records since the last good one are kept in memory and written whole into a new segment; until that
one is synced appends are refused, or a disk that never syncs would be answered for without end. After a failure that
no new segment mends `is_writable` is false and appends are refused at once, until the thread, which tries every half
second, has found the folder writable again.

A process opens its own journal after forking: a child would inherit the lock on the parent's segment.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

from portal.core.errors import Unavailable
from portal.core.ids import new_id
from portal.core.logs import get_log
from portal.usage.journal.format import HEADER_SIZE, encode_frames
from portal.usage.journal.open_segment import OpenSegment
from portal.usage.records import UsageRecord, encode_record

RETRY_SECONDS = 0.5
ATTEMPTS = 2
SEGMENT_SECONDS = 600.0
"""A segment is sealed at this age too, so that what is shipped leaves the disk of a quiet process as well."""
_log = get_log(__name__)


class JournalUnavailable(Unavailable):
    """The records could not be written; do not answer for them."""

    code = "JOURNAL_UNAVAILABLE"


class Journal:
    """Append-only segments of one process incarnation. `on_append` is called after each append, by its caller."""

    def __init__(
        self, folder: Path, *, segment_bytes: int, sync_ms: int, on_append: Callable[[], None] | None = None
    ) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._sync_seconds = sync_ms / 1000
        self._on_append = on_append
        self._incarnation = ""
        self._number = 0
        self._begun_at = 0.0
        self._segment: OpenSegment | None = None
        self._retired: list[OpenSegment] = []
        self._homeless: list[bytes] = []
        self._failure: OSError | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_writable(self) -> bool:
        """False from a failure until the thread has written to a new segment."""
        return self._segment is not None and not self._homeless and self._failure is None

    def open(self) -> None:
        """Raises JournalUnavailable."""
        self._incarnation = new_id("").removeprefix("_")
        self._failure = None
        self._closing.clear()
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._segment = self._new_segment()
        except OSError as error:
            raise self._refusal(error) from error
        self._thread = threading.Thread(target=self._sync_until_closed, name="journal-sync", daemon=True)
        self._thread.start()

    def append(self, records: Sequence[UsageRecord]) -> None:
        """All of them or none, by one write(2). Raises JournalUnavailable."""
        frames = encode_frames(map(encode_record, records))
        with self._lock:
            if self._failure is not None:
                raise self._refusal(self._failure)
            self._write(frames)
        if self._on_append is not None:
            self._on_append()

    def close(self) -> None:
        """Sync and seal. Idempotent."""
        if self._thread is None:
            return
        self._closing.set()
        self._thread.join()
        self._thread = None
        self._sync()
        if self._homeless:
            self._recover()
        with self._lock:
            self._retire()
        self._sync()

    def _write(self, frames: bytes) -> None:
        """With the lock held. What lost its segment before goes first."""
        data = b"".join((*self._homeless, frames)) if self._homeless else frames
        for _ in range(ATTEMPTS):
            try:
                segment = self._segment = self._segment or self._new_segment()
                self._write_to(segment, data)
            except OSError as error:
                failure = error
                self._retire()
                continue
            self._homeless.clear()
            if segment.size >= self._segment_bytes:
                self._retire()
                self._start_next()
            return
        raise self._refusal(failure) from failure

    def _write_to(self, segment: OpenSegment, data: bytes) -> None:
        segment.append(data)
        if not self._sync_seconds:
            # Whatever comes of it, nothing is left for the thread: after a failure the next segment gets all of it.
            segment.take_unsynced()
            segment.sync()

    def _new_segment(self) -> OpenSegment:
        self._number += 1
        self._begun_at = monotonic()
        return OpenSegment(self._folder, self._incarnation, self._number)

    def _start_next(self) -> None:
        """Ahead of the next append, which tries again should this fail."""
        try:
            self._segment = self._new_segment()
        except OSError as error:
            _log.error("journal_segment_refused", folder=str(self._folder), error=str(error))

    def _retire(self) -> None:
        """No more appends to the segment: the thread syncs what is left to sync, and closes it."""
        if self._segment is not None:
            self._retired.append(self._segment)
            self._segment = None

    def _refusal(self, failure: OSError) -> JournalUnavailable:
        if self._failure is None:
            _log.error("journal_unavailable", folder=str(self._folder), error=str(failure))
        self._failure = failure
        return JournalUnavailable(
            f"The usage journal in {self._folder} cannot be written: {failure.strerror}.",
            hint="Make room on its disk, or mend it.",
        )

    def _sync_until_closed(self) -> None:
        while not self._closing.wait(self._pause()):
            self._seal_aged()
            self._sync()
            if not self.is_writable:
                self._recover()

    def _seal_aged(self) -> None:
        with self._lock:
            is_aged = monotonic() - self._begun_at > SEGMENT_SECONDS
            if is_aged and self._segment is not None and self._segment.size > HEADER_SIZE:
                self._retire()
                self._start_next()

    def _pause(self) -> float:
        return min(self._sync_seconds or RETRY_SECONDS, RETRY_SECONDS) if self.is_writable else RETRY_SECONDS

    def _sync(self) -> None:
        with self._lock:
            retired, self._retired = self._retired, []
            segments = [*retired, self._segment] if self._segment else retired
            taken = [(segment, segment.take_unsynced()) for segment in segments]
        for segment, frames in taken:
            try:
                if frames:
                    segment.sync()
            except OSError as error:
                self._rescue(segment, frames, error)
        for segment in retired:
            segment.close()

    def _rescue(self, segment: OpenSegment, frames: list[bytes], error: OSError) -> None:
        """Nothing of the segment since its last good sync counts as written any more."""
        _log.error("journal_sync_failed", segment=segment.path.name, error=str(error))
        with self._lock:
            self._homeless += frames + segment.take_unsynced()
            self._failure = error
            if self._segment is segment:
                self._retire()

    def _recover(self) -> None:
        """Write what lost its segment into a new one, or at least have one again."""
        with self._lock:
            try:
                self._write(b"")
            except JournalUnavailable:
                return
        self._sync()
        with self._lock:
            if self._homeless:
                return
            self._failure = None
        _log.info("journal_writable_again", folder=str(self._folder))
