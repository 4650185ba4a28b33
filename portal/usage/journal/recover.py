"""Recover the journal of a dead node: ship every segment of its folder, until nothing but damaged ones is there."""

import asyncio
import fcntl
import os
from dataclasses import dataclass, field
from pathlib import Path

from portal.core.errors import PortalError
from portal.core.messaging.bus import USAGE_RECORDED, Bus
from portal.usage.journal.segments import DAMAGED_SUFFIX, is_open, list_segments, size_of
from portal.usage.journal.shipper import LOCK_NAME, JournalDamaged, JournalShipper

LAG_SECONDS = 0.5


class JournalInUse(PortalError):
    """A living process writes or ships this folder."""

    code = "JOURNAL_IN_USE"


@dataclass(slots=True)
class JournalRecovered:
    """`shipped` records, `cut_bytes` at torn ends that were never answered for, and files that are damaged."""

    shipped: int = 0
    cut_bytes: int = 0
    damaged: list[Path] = field(default_factory=list)


async def recover_journal(folder: Path, bus: Bus, batch: int) -> JournalRecovered:
    """Ship a folder to the bus. Raises JournalInUse, and what the bus raises.

    May be repeated after any failure: what was shipped before is recognised. The folder's lock is held meanwhile, so no
    shipper starts on it. While ingest lags it waits: the records of living nodes go first.
    """
    _check_abandoned(folder)
    shipper = JournalShipper(folder, bus, batch)
    try:
        while segments := list_segments(folder):
            try:
                shipped = await shipper.run_once()
            except JournalDamaged:
                continue
            if shipped or list_segments(folder) != segments:
                continue
            if not await bus.waiting(USAGE_RECORDED):
                raise _in_use(f"Another process took {folder} meanwhile.")
            await asyncio.sleep(LAG_SECONDS)
    finally:
        shipper.close()
    return JournalRecovered(shipper.shipped, shipper.cut_bytes, _list_damaged(folder))


def journal_bytes(folder: Path) -> int:
    """Return how many bytes there are to ship at most."""
    return sum(size_of(path) for path in list_segments(folder))


def _list_damaged(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{DAMAGED_SUFFIX}"))


def _check_abandoned(folder: Path) -> None:
    """Raise JournalInUse while a process uses the folder, and PortalError for what is no folder."""
    if not folder.is_dir():
        raise PortalError(f"{folder} is no folder.", hint="Name the journal of a dead node, PORTAL_DATA/journal.")
    open_segment = next((path for path in list_segments(folder) if is_open(path)), None)
    if open_segment is not None:
        raise _in_use(f"A living process writes {open_segment}.")
    if _has_shipper(folder / LOCK_NAME):
        raise _in_use(f"A living process ships {folder}.")


def _in_use(message: str) -> JournalInUse:
    return JournalInUse(message, hint="Stop that process first, or leave the folder to it.")


def _has_shipper(lock: Path) -> bool:
    try:
        file = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
