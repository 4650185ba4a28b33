"""Ship again what a folder still has, after PostgreSQL was restored: shipped, not shipped yet, or set aside as damaged.

It runs beside the processes that write and ship the folder, so a segment may move while it is read: to the shipped ones
or aside. Each is therefore followed by its name, and the folder is listed until no name is new.
"""

import asyncio
from pathlib import Path

from portal.core.messaging.bus import USAGE_RECORDED, Bus
from portal.usage.journal.recover import JournalRecovered
from portal.usage.journal.segments import DAMAGED_SUFFIX, SUFFIX, read_chunk, size_of
from portal.usage.journal.shipped_segments import FOLDER
from portal.usage.records import join_batch

MAX_WAITING = 16
LAG_SECONDS = 0.2


def kept_bytes(folder: Path) -> int:
    """Return how many bytes `ship_again` reads."""
    return sum(size_of(path) for name in _list_names(folder) for path in _places(folder, name))


async def ship_again(folder: Path, bus: Bus, batch: int) -> JournalRecovered:
    """Publish every record that can be read. Nothing is moved or deleted, and nothing counts twice.

    May be repeated. Of a damaged segment what stands before the damage is shipped. Raises what the bus raises.
    """
    report = JournalRecovered()
    done: set[str] = set()
    while names := [name for name in _list_names(folder) if name not in done]:
        for name in names:
            await _ship_segment(folder, name, bus, batch, report)
        done.update(names)
    return report


async def _ship_segment(folder: Path, name: str, bus: Bus, batch: int, report: JournalRecovered) -> None:
    offset = 0
    while (path := _find(folder, name)) is not None:
        chunk = await asyncio.to_thread(read_chunk, path, offset, batch)
        if chunk.payloads:
            while await bus.waiting(USAGE_RECORDED) > MAX_WAITING:  # noqa: ASYNC110 the broker tells nobody
                await asyncio.sleep(LAG_SECONDS)
            await bus.publish(USAGE_RECORDED, join_batch(chunk.payloads))
            report.shipped += len(chunk.payloads)
        if chunk.damage_at is not None:
            report.damaged.append(path)
            return
        offset = chunk.end
        if not chunk.has_more and path.exists():
            return


def _list_names(folder: Path) -> list[str]:
    """Return the segments' names, the oldest first. In this order what moves meanwhile is seen at least once."""
    patterns = [(folder, f"*{SUFFIX}"), (folder, f"*{SUFFIX}{DAMAGED_SUFFIX}"), (folder / FOLDER, f"*{SUFFIX}")]
    return sorted(
        {path.name.removesuffix(DAMAGED_SUFFIX) for place, pattern in patterns for path in place.glob(pattern)}
    )


def _places(folder: Path, name: str) -> list[Path]:
    """Return where a segment may be, in the order in which it moves."""
    return [folder / name, folder / f"{name}{DAMAGED_SUFFIX}", folder / FOLDER / name]


def _find(folder: Path, name: str) -> Path | None:
    return next((path for path in _places(folder, name) if path.exists()), None)
