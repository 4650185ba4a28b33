"""Which system account PostgreSQL runs as: it refuses root, so root lends it another one."""

import os
import pwd
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from portal.core.errors import StartupError

CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    uid: int
    gid: int

    def can_run(self, program: Path) -> bool:
        """Return whether mode bits let this account through every folder to the program, and execute it."""
        return all(self._may_execute(path.stat()) for path in (program, *program.parents))

    def take_over(self, folder: Path) -> None:
        """Give it a folder and everything inside."""
        for path in (folder, *folder.rglob("*")):
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def _may_execute(self, found: os.stat_result) -> bool:
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.gid:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)


def account_for(folder: Path) -> Account | None:
    """None: our own, which is not root. Otherwise the owner of an existing folder, or a system account."""
    if os.geteuid() != 0:
        return None
    if sys.platform != "linux":
        raise StartupError(
            "The embedded PostgreSQL does not run as root on this system.", hint="Run as an ordinary user."
        )
    if folder.exists() and folder.stat().st_uid != 0:
        return Account(folder.stat().st_uid, folder.stat().st_gid)
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise StartupError(
        f"PostgreSQL refuses to run as root, and there is no account {' or '.join(CANDIDATES)}.",
        hint="Run as an ordinary user.",
    )
