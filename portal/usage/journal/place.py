"""The journal's folder as a place to write: whether it is there, on its own disk, and with room.

A folder that is gone is never made again by who writes: where a volume was unmounted that would be a journal on the
wrong disk, which the volume hides once it is back.
"""

import errno
import os
from pathlib import Path

RESERVE_BYTES = 32 << 20
RESERVE_PART = 10
"""A disk that was full is written again once this much, or this part of it, is free: a few freed bytes would only make
readiness flap."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class JournalPlace:
    """The folder of one writer, which remembers the disk that it was on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._beneath: int | None = None

    def open(self) -> None:
        """Make the folder where there is none, for a process that starts. Raises OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._beneath = _device_beneath(self.folder)

    def check(self) -> None:
        """Raise OSError where the folder is gone, or is that which its unmounted volume has hidden."""
        try:
            device = self.folder.stat().st_dev
        except FileNotFoundError:
            raise OSError(errno.ENOENT, "its folder is gone") from None
        if device == self._beneath:
            raise OSError(errno.ENODEV, "its volume is not mounted")

    def has_room(self) -> bool:
        """Return whether a disk that was full has enough room again. Raises OSError."""
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize >= min(RESERVE_BYTES, disk.f_blocks * disk.f_frsize // RESERVE_PART)


def _device_beneath(folder: Path) -> int | None:
    """Return the device on which the folder's volume is mounted; None for the root's own."""
    folder = folder.resolve()
    device = folder.stat().st_dev
    for parent in folder.parents:
        if parent.stat().st_dev != device:
            return parent.stat().st_dev
    return None
