"""One segment that this process appends to: locked for as long as it is open, cut back when a write fails."""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path

from portal.usage.journal.format import HEADER_SIZE, segment_header
from portal.usage.journal.segments import segment_path

OPENING_SUFFIX = ".opening"


class OpenSegment:
    """`size` is where the next frame goes; `unsynced` is what the disk may not have yet, in order."""

    def __init__(self, folder: Path, incarnation: str, number: int) -> None:
        """Raises OSError, and then leaves no file."""
        self.path = segment_path(folder, incarnation, number)
        self.size = HEADER_SIZE
        self.unsynced: list[bytes] = []
        self.has_synced_name = False
        # A courier that saw an unlocked, empty segment would delete it: it gets its name after lock and header.
        opening = self.path.with_name(f".{self.path.name}{OPENING_SUFFIX}")
        self._file = os.open(opening, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_whole(self._file, segment_header(incarnation))
            opening.replace(self.path)
        except OSError:
            os.close(self._file)
            opening.unlink(missing_ok=True)
            raise

    def append(self, frames: bytes) -> None:
        """One write(2). Raises OSError; then cut back to what was whole before, and not to be appended to again."""
        try:
            _write_whole(self._file, frames)
        except OSError:
            # Where even this fails, the unfinished frame stays at the end of a file that nobody continues.
            with suppress(OSError):
                os.ftruncate(self._file, self.size)
            raise
        self.size += len(frames)
        self.unsynced.append(frames)

    def take_unsynced(self) -> list[bytes]:
        taken, self.unsynced = self.unsynced, []
        return taken

    def sync(self) -> None:
        """Raises OSError, after which the page cache lies: write elsewhere, never sync this file again."""
        os.fsync(self._file)
        if not self.has_synced_name:
            _sync_folder(self.path.parent)
            self.has_synced_name = True

    def close(self) -> None:
        """Let go of the lock, so that the courier may finish the file. One without a record is removed."""
        if self.size == HEADER_SIZE:
            with suppress(OSError):
                self.path.unlink()
        # What it held is synced or rescued by now, and on an error too the file is let go.
        with suppress(OSError):
            os.close(self._file)


def _write_whole(file: int, data: bytes) -> None:
    if os.write(file, data) != len(data):
        raise OSError(errno.ENOSPC, "the disk took only a part")


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
