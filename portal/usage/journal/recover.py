"""Ship what a dead node left: every segment of a journal's folder, once, until nothing but damaged ones is there."""

import asyncio
import fcntl
import os
from dataclasses import dataclass, field
from pathlib import Path

from portal.core.bus import USAGE_RECORDED, Bus
from portal.core.errors import PortalError
from portal.usage.journal.segments import DAMAGED_SUFFIX, is_written, list_segments, size_of
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
    """May be repeated after any failure: what was shipped before is recognised. Raises JournalInUse, and the bus's own.

    The folder's lock is held meanwhile, so no courier starts on it. While ingest lags it waits: the living first.
    """
    refuse_living(folder)
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
                raise _in_use(f"Somebody else took {folder} meanwhile.")
            await asyncio.sleep(LAG_SECONDS)
    finally:
        shipper.close()
    return JournalRecovered(shipper.shipped, shipper.cut_bytes, list_damaged(folder))


def bytes_in(folder: Path) -> int:
    """How much there is to ship at most."""
    return sum(size_of(path) for path in list_segments(folder))


def list_damaged(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{DAMAGED_SUFFIX}"))


def refuse_living(folder: Path) -> None:
    """Raises JournalInUse, and PortalError for what is no folder."""
    if not folder.is_dir():
        raise PortalError(f"{folder} is no folder.", hint="Name the journal of a dead node, PORTAL_DATA/journal.")
    living = next((path for path in list_segments(folder) if is_written(path)), None)
    if living is not None:
        raise _in_use(f"A living process writes {living}.")
    if _is_shipped(folder / LOCK_NAME):
        raise _in_use(f"A courier works on {folder}.")


def _in_use(message: str) -> JournalInUse:
    return JournalInUse(message, hint="Stop that process first, or leave the folder to it.")


def _is_shipped(lock: Path) -> bool:
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
