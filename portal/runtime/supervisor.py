"""The processes of `portal serve --workers N`: started again when they die, ended with their parent.

A parent that is killed (kill -9, out of memory) cannot tell its children, and as orphans they would hold the port and
serve an old version for ever. So each child watches for its parent.
"""

import ctypes
import os
import signal
import sys
import threading
from time import sleep

POLL_SECONDS = 0.5
END_SECONDS = 30.0
"""How long an orphan may finish what it answers; then it ends as it is: the journal loses nothing by that."""
_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int) -> None:
    """Let this process be terminated once `parent`, the process that started it, is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    threading.Thread(target=_watch, args=(parent,), name="parent-watch", daemon=True).start()


def _watch(parent: int) -> None:
    """Where the kernel sends nothing, or sent it before it was asked to."""
    while os.getppid() == parent:
        sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    sleep(END_SECONDS)
    os._exit(1)
