"""The journal's folder as its reader sees it: which segments there are, who still writes them, what they hold.

A writer holds a flock on its segment from before the file gets its name until it will never write there again. So a
segment that is not locked is complete: an unfinished frame at its end was never answered for and is cut off. In a
locked one it may still grow.
"""

import fcntl
import os
from dataclasses import dataclass, replace
from pathlib import Path

from portal.usage.journal.format import FRAME_SIZE, HEADER_SIZE, MAX_PAYLOAD, find_frame, is_header, scan_frames

SUFFIX = ".journal"
CURSOR_SUFFIX = ".cursor"
DAMAGED_SUFFIX = ".damaged"
CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SegmentChunk:
    """What was read from one offset: whole records, and where the next begins.

    `has_more`: further records are there already. `damage_at`: no record at this offset although valid ones follow.
    `is_final`: everything readable was read, and nobody will append. `cut_bytes`: unfinished bytes at the end.
    """

    payloads: list[bytes]
    end: int
    has_more: bool = False
    damage_at: int | None = None
    is_final: bool = False
    cut_bytes: int = 0


def segment_path(folder: Path, incarnation: str, number: int) -> Path:
    """Return the file of an incarnation's segment."""
    return folder / f"{incarnation}-{number:08d}{SUFFIX}"


def incarnation_of(path: Path) -> str:
    """Return the process incarnation that wrote a segment."""
    return path.stem.rpartition("-")[0]


def list_segments(folder: Path) -> list[Path]:
    """Return the segments, the oldest first: an incarnation's name begins with its time."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def read_chunk(path: Path, offset: int, max_records: int) -> SegmentChunk:
    """Read at most `max_records` and CHUNK_BYTES from `offset`, which is 0 or the `end` of an earlier chunk."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        # Its writer closed it without a record and removed it.
        return SegmentChunk([], offset)
    try:
        # Checked before reading: what is not locked now has all that it will ever have.
        has_writer = _is_locked(file)
        if offset == 0:
            if not is_header(os.pread(file, HEADER_SIZE, 0)):
                return _read_tail(file, 0, has_writer=has_writer)
            offset = HEADER_SIZE
        return _read_frames(file, offset, max_records, has_writer=has_writer)
    finally:
        os.close(file)


def is_open(path: Path) -> bool:
    """Return whether a living process still writes the segment."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return _is_locked(file)
    finally:
        os.close(file)


def size_of(path: Path) -> int:
    """Return the bytes of a segment, 0 for one that is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def load_cursor(path: Path) -> int:
    """Return the offset up to which a segment was shipped; 0 when it is not known: shipping twice does no harm."""
    try:
        digits = _cursor_path(path).read_bytes()
    except FileNotFoundError:
        return 0
    return int(digits) if digits.isdigit() else 0


def save_cursor(path: Path, offset: int) -> None:
    """Save the offset, whole or not at all. Not synced: it may lag behind, and after a power failure it may vanish."""
    partial = _cursor_path(path).with_suffix(".partial")
    partial.write_text(str(offset))
    partial.replace(_cursor_path(path))


def delete_segment(path: Path) -> None:
    """Delete a segment, then its cursor: without one a segment is shipped again, a cursor alone means nothing."""
    path.unlink(missing_ok=True)
    _cursor_path(path).unlink(missing_ok=True)


def set_aside(path: Path) -> Path:
    """Rename a damaged segment to where no shipper looks, and return its new path."""
    damaged = path.with_name(path.name + DAMAGED_SUFFIX)
    path.replace(damaged)
    _cursor_path(path).unlink(missing_ok=True)
    return damaged


def _read_frames(file: int, offset: int, max_records: int, *, has_writer: bool) -> SegmentChunk:
    data = os.pread(file, CHUNK_BYTES, offset)
    scan = scan_frames(data, max_records)
    end = offset + scan.end
    is_whole_chunk = len(data) == CHUNK_BYTES
    if scan.is_broken or (scan.end < len(data) and len(scan.payloads) < max_records and not is_whole_chunk):
        tail = _read_tail(file, end, has_writer=has_writer)
        if tail.damage_at is not None and scan_frames(os.pread(file, CHUNK_BYTES, end), 1).payloads:
            # Its writer was at this very frame when it was read, and has come on since.
            return SegmentChunk(scan.payloads, end, has_more=True)
        return replace(tail, payloads=scan.payloads)
    has_more = is_whole_chunk or scan.end < len(data)
    return SegmentChunk(scan.payloads, end, has_more=has_more, is_final=not has_writer and not has_more)


def _read_tail(file: int, begin: int, *, has_writer: bool) -> SegmentChunk:
    """Say what bytes are that are no frame: damage, a frame that grows, or a torn end."""
    if _is_frame_after(file, begin + 1):
        return SegmentChunk([], begin, damage_at=begin, is_final=not has_writer)
    if has_writer:
        return SegmentChunk([], begin)
    return SegmentChunk([], begin, is_final=True, cut_bytes=os.fstat(file).st_size - begin)


def _is_frame_after(file: int, offset: int) -> bool:
    while data := os.pread(file, CHUNK_BYTES, offset):
        if find_frame(data) is not None:
            return True
        if len(data) < CHUNK_BYTES:
            return False
        offset += CHUNK_BYTES - MAX_PAYLOAD - FRAME_SIZE
    return False


def _is_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _cursor_path(path: Path) -> Path:
    return path.with_name(path.name + CURSOR_SUFFIX)
