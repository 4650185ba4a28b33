"""Shipped segments, kept for some hours in the folder `shipped`, so that a restored database can be counted full again.

A broker confirms what it stores, not what PostgreSQL will still have after a restore. Shipping a kept segment again is
harmless: ingest recognises each record. On a disk that fills up the kept ones go first.
"""

import asyncio
import os
import shutil
from pathlib import Path
from time import time

from portal.core.messaging.bus import USAGE_RECORDED, Bus
from portal.usage.journal.segments import delete_segment, list_segments, read_chunk, size_of
from portal.usage.records import join_batch

FOLDER = "shipped"
MIN_FREE_SHARE = 0.1
"""Below this share of the disk nothing shipped is kept: room for what is not shipped is worth more."""
MAX_WAITING = 16
LAG_SECONDS = 0.2


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


def kept_bytes(folder: Path) -> int:
    """Return how many bytes `ship_again` reads."""
    return sum(size_of(path) for path in _everything(folder))


async def ship_again(folder: Path, bus: Bus, batch: int) -> int:
    """Publish every record that the folder still has, shipped or not; return how many. Nothing is moved or deleted.

    May run beside the processes that write and ship the folder, and may be repeated. Raises what the bus raises.
    """
    shipped = 0
    for path in _everything(folder):
        offset, size = 0, size_of(path)
        while offset < size:
            chunk = await asyncio.to_thread(read_chunk, path, offset, batch)
            if chunk.payloads:
                while await bus.waiting(USAGE_RECORDED) > MAX_WAITING:  # noqa: ASYNC110 the broker tells nobody
                    await asyncio.sleep(LAG_SECONDS)
                await bus.publish(USAGE_RECORDED, join_batch(chunk.payloads))
                shipped += len(chunk.payloads)
            if not chunk.has_more or chunk.damage_at is not None:
                break
            offset = chunk.end
    return shipped


def _everything(folder: Path) -> list[Path]:
    return [*list_segments(folder / FOLDER), *list_segments(folder)]


def _shipped_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
