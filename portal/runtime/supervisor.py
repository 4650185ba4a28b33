"""The processes of `portal serve --workers N`: started again when they die or hang, ended with their parent.

Uvicorn's supervisor waits five seconds for a child's answer from its first moment on, deaf to signals meanwhile: on a
busy machine, where a child takes longer to import what it needs, it kills what it has just started, for ever. This one
waits for nobody.

A parent that is killed (kill -9, out of memory) cannot tell its children, and as orphans they would hold the port and
serve an old version for ever. So each child watches for its parent.
"""

import ctypes
import os
import signal
import sys
import threading
from contextlib import suppress
from socket import socket
from time import monotonic, sleep

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from portal.core.logs import get_log

START_SECONDS = 300.0
HUNG_SECONDS = 30.0
"""How long a process may leave a question unanswered, before its first answer and after it."""
POLL_SECONDS = 0.5
END_SECONDS = 30.0
"""How long an orphan may finish what it answers; then it ends as it is: the journal loses nothing by that."""
_PR_SET_PDEATHSIG = 1
_log = get_log(__name__)


class Supervisor(Multiprocess):
    """Keeps as many processes as the configuration says."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self._asked_at: dict[Process, float] = {}
        self._have_answered: set[Process] = set()

    def keep_subprocess_alive(self) -> None:
        """Replace the processes that died or hang. Called twice a second between signals."""
        for place, process in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if process.process.is_alive() and self._answers(process):
                continue
            process.kill()
            process.process.join()
            self._forget(process)
            if process.exitcode == STARTUP_FAILURE:
                _log.error("process_did_not_start", pid=process.pid, hint="See its own line above.")
                self.should_exit.set()
                return
            _log.error("process_died", pid=process.pid, exit_code=process.exitcode)
            replacement = Process(self.config, self.sockets)
            replacement.start()
            self.processes[place] = replacement

    def _answers(self, process: Process) -> bool:
        """Return whether the process answered in time, without waiting for it. It does so from a thread of its own."""
        asked_at = self._asked_at.get(process)
        with suppress(OSError, EOFError):
            if asked_at is None:
                process.parent_conn.send(b"ping")
                self._asked_at[process] = monotonic()
                return True
            if process.parent_conn.poll(0):
                process.parent_conn.recv()
                self._have_answered.add(process)
                del self._asked_at[process]
                return True
        patience = HUNG_SECONDS if process in self._have_answered else START_SECONDS
        return asked_at is not None and monotonic() - asked_at < patience

    def _forget(self, process: Process) -> None:
        self._asked_at.pop(process, None)
        self._have_answered.discard(process)


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
