"""One server process: its start, its end, and what is left of it after the portal itself was killed.

It has a record, `<name>.process`, written before the program runs and removed after it ended, and a log,
`<name>.log`. Its session is its own, so Ctrl-C on the terminal reaches the portal alone, which then stops it
in order.
"""

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from portal.core.embedded.account import Account
from portal.core.embedded.record import POLL_SECONDS, Order, Record, end_process
from portal.core.errors import StartupError

START_SECONDS = 30
RECOVERY_SECONDS = 300
LOG_LINES = 15
LOG_BYTES = 10_000_000
# Nothing of the user's own environment: a PGDATA, PGOPTIONS or LC_ALL must not reach the servers.
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
# The shell waits for a line before it becomes the server, so the record exists before the server does; if the
# portal is killed in between, the pipe closes and nothing starts.
GATE = 'read -r go || exit 1; exec "$0" "$@" </dev/null'

FOLDER = "<folder>"
"""In a command: the folder that the program works on, by a path that its account can open."""

T = TypeVar("T")


class Readiness(Enum):
    DOWN = "down"
    RECOVERING = "recovering"
    READY = "ready"


class ServerProcess:
    """Start, await, stop. `name` is also the stem of the record and the log in `data`."""

    def __init__(self, name: str, data: Path) -> None:
        self.log_path = data / f"{name}.log"
        self._name = name
        self._record = data / f"{name}.process"
        self._child: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """Return the process id of the last start, also after it ended."""
        if self._child is None:
            raise RuntimeError(f"{self._name} was never started")
        return self._child.pid

    def is_running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    async def launch(self, command: list[str], folder: Path, account: Account | None) -> None:
        """Start the program, and return when its record is written; a cancellation waits for that."""
        await in_thread(lambda: self._launch(command, folder, account))

    async def wait_ready(self, probe: Callable[[], Awaitable[Readiness]]) -> None:
        """Wait until the server answers. Raises StartupError after 30 s, or 5 min while it says that it recovers."""
        clock = asyncio.get_running_loop().time
        begin = clock()
        while (readiness := await probe()) is not Readiness.READY:
            if not self.is_running():
                raise self._failure("ended before it was ready")
            limit = RECOVERY_SECONDS if readiness is Readiness.RECOVERING else START_SECONDS
            if clock() - begin > limit:
                raise self._failure(f"did not answer within {limit} s")
            await asyncio.sleep(POLL_SECONDS)

    async def is_ready(self, probe: Callable[[], Awaitable[Readiness]]) -> bool:
        """Return whether it answers; false also if it was killed a moment ago and ends while it is asked."""
        if not self.is_running():
            return False
        try:
            await self.wait_ready(probe)
        except StartupError:
            if self.is_running():
                raise
            return False
        return True

    async def stop(self, *orders: Order) -> None:
        """Give each order in turn until the process ends, at last SIGKILL. Idempotent."""
        if self._child is not None:
            await end_process(self._child.pid, self.is_running, orders)
            if not self.is_running():
                self._record.unlink(missing_ok=True)

    async def stop_leftover(self, *orders: Order) -> int | None:
        """End what a killed portal left running. Returns its pid, which from now on means nothing."""
        record = Record.load(self._record)
        if record is None:
            return None
        await end_process(record.pid, lambda: record.is_running, orders)
        if await asyncio.to_thread(lambda: record.is_running):
            raise StartupError(f"{self._name} of an earlier start does not end (process {record.pid}).")
        self._record.unlink(missing_ok=True)
        return record.pid

    def log_of_this_start(self) -> str:
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            return log.read(LOG_BYTES).decode(errors="replace")

    def _failure(self, what: str) -> StartupError:
        lines = self.log_of_this_start().splitlines()[-LOG_LINES:]
        message = "\n".join([f"{self._name} {what}.", *lines])
        return StartupError(message, hint=f"The whole log: {self.log_path}")

    def _launch(self, command: list[str], folder: Path, account: Account | None) -> None:
        log = self._open_log()
        try:
            child = spawn(["/bin/sh", "-c", GATE, *command], folder, account, subprocess.PIPE, log)
        finally:
            os.close(log)
        self._child = child
        Record.of(child.pid).save(self._record)
        if child.stdin is not None:
            with suppress(BrokenPipeError), child.stdin as gate:
                gate.write(b"go\n")

    def _open_log(self) -> int:
        """Append, from a new file if the old one has grown large."""
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        log = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._log_start = os.fstat(log).st_size
        return log


def spawn(
    command: list[str], folder: Path, account: Account | None, stdin: int, output: int
) -> subprocess.Popen[bytes]:
    """Start a program on a folder; blocks for the milliseconds of a fork.

    Another account may be unable to pass the folders above, so root opens the folder for it and names it by its
    descriptor, which the kernel resolves without a walk. Its working folder is one that everybody can enter, because
    PostgreSQL before 16 leaves it for a moment and comes back by its name.
    """
    if account is None:
        return _popen(command, str(folder), stdin, output, cwd=folder)
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        lent: dict[str, Any] = {"user": account.uid, "group": account.gid, "extra_groups": [], "pass_fds": [opened]}
        return _popen(command, f"/proc/self/fd/{opened}", stdin, output, cwd="/", **lent)
    finally:
        os.close(opened)


def _popen(command: list[str], folder: str, stdin: int, output: int, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - no user input in it
        [folder if part == FOLDER else part for part in command],
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=ENVIRONMENT,
        start_new_session=True,
        umask=0o077,
        **options,
    )


async def in_thread(work: Callable[[], T]) -> T:
    """In a thread, to its end: a cancellation is passed on only then, so no process goes unnoticed."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
