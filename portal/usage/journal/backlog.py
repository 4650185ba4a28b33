"""What the journal of a node holds that is not shipped yet: how much, and since when."""

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from portal.usage.journal.format import HEADER_SIZE
from portal.usage.journal.segments import (
    DAMAGED_SUFFIX,
    incarnation_of,
    list_segments,
    load_cursor,
    read_chunk,
    size_of,
)
from portal.usage.records import PoisonBatch, decode_batch, join_batch, occurred_at


@dataclass(frozen=True, slots=True)
class Backlog:
    """`oldest` is when the oldest record happened, by the first of each incarnation; None: nothing is left."""

    bytes: int
    oldest: datetime | None


def journal_backlog(folder: Path) -> Backlog:
    """Return what is not shipped, by the shipper's cursors, which may be a moment behind. Raises OSError.

    Of each process incarnation only the first record is read: after hours without a broker there are thousands of
    segments, and this is called every few seconds.
    """
    unshipped, oldest = 0, None
    incarnations: set[str] = set()
    for path in list_segments(folder):
        cursor = max(load_cursor(path), HEADER_SIZE)
        size = size_of(path)
        if size <= cursor:
            continue
        unshipped += size - cursor
        if incarnation_of(path) in incarnations or (at := _first_at(path, cursor)) is None:
            continue
        incarnations.add(incarnation_of(path))
        oldest = at if oldest is None else min(at, oldest)
    return Backlog(unshipped, oldest)


def journal_disk_use(folder: Path) -> tuple[int, int]:
    """Return the bytes of all files in the folder, and how many are set aside as damaged. Raises OSError."""
    total = damaged = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            damaged += entry.name.endswith(DAMAGED_SUFFIX)
            with suppress(FileNotFoundError):
                total += entry.stat().st_size
    return total, damaged


def _first_at(path: Path, cursor: int) -> datetime | None:
    payloads = read_chunk(path, cursor, 1).payloads
    try:
        return occurred_at(decode_batch(join_batch(payloads))[0].request_id) if payloads else None
    except (PoisonBatch, ValueError):
        return None
