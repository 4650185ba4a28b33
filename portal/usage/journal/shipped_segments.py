"""Shipped segments, kept for some hours in the folder `shipped`, so that a restored database can be counted full again.

A broker confirms what it stores, not what PostgreSQL will still have after a restore. Shipping a kept segment again is
harmless, see ship_again.py: ingest recognises each record. On a disk that fills up the kept ones go first.
"""

import os
import shutil
from pathlib import Path
from time import time

from portal.usage.journal.segments import delete_segment, list_segments

FOLDER = "shipped"
MIN_FREE_SHARE = 0.1
"""Below this share of the disk nothing shipped is kept: room for what is not shipped is worth more."""


def keep_segment(path: Path, keep_seconds: float) -> None:
    """Move a shipped segment to the kept ones, or delete it where nothing is to be kept. Raises OSError."""
    if keep_seconds <= 0:
        delete_segment(path)
        return
    folder = path.parent / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    if path.exists():
        os.utime(path)
        path.replace(folder / path.name)
    delete_segment(path)


def purge_kept(folder: Path, keep_seconds: float) -> int:
    """Delete what was kept for long enough, all of it on a disk that is nearly full; return how many segments."""
    segments = list_segments(folder / FOLDER)
    if not segments:
        return 0
    disk = shutil.disk_usage(folder)
    until = time() - keep_seconds if disk.free >= disk.total * MIN_FREE_SHARE else float("inf")
    ended = [path for path in segments if _shipped_at(path) < until]
    for path in ended:
        delete_segment(path)
    return len(ended)


def _shipped_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
