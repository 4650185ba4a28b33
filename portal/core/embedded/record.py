"""Which process a pid meant: pid and start time together, so that a reused pid is not taken for the old one."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

POLL_SECONDS = 0.01
KILL_SECONDS = 5.0

Order = tuple[signal.Signals, float]
"""A signal, and the seconds that a process has to end after it."""


@dataclass(frozen=True)
class Record:
    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self:
        return cls(pid, start_of(pid) or "")

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """None when there is no record, or half of one: then its process never passed the gate."""
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    @property
    def is_running(self) -> bool:
        return start_of(self.pid) == self.started

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))


def start_of(pid: int) -> str | None:
    """When the process started, in a form that only compares; None if there is none, or only its zombie."""
    return _start_on_linux(pid) if sys.platform == "linux" else _start_elsewhere(pid)


async def end_process(pid: int, is_running: Callable[[], bool], orders: Sequence[Order]) -> None:
    """Give each order in turn until the process has ended; SIGKILL, to its whole group, is the last."""
    for order, grace_seconds in orders:
        if not await asyncio.to_thread(is_running):
            return
        with suppress(ProcessLookupError):
            os.kill(pid, order)
            # A stopped process (Ctrl-Z, SIGSTOP) obeys nothing until it runs again.
            os.kill(pid, signal.SIGCONT)
        await _wait_end(is_running, grace_seconds)
    if await asyncio.to_thread(is_running):
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        await _wait_end(is_running, KILL_SECONDS)


async def _wait_end(is_running: Callable[[], bool], seconds: float) -> None:
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while clock() < deadline and await asyncio.to_thread(is_running):  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(POLL_SECONDS)


def _start_on_linux(pid: int) -> str | None:
    """Boot and clock ticks since: exact, and wall-clock changes do not move it. See proc(5)."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, ticks = after_name[0], after_name[19]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return None if state in "ZX" else f"{boot} {ticks}"


def _start_elsewhere(pid: int) -> str | None:
    found = subprocess.run(  # noqa: S603 - only a number is filled in
        ["/bin/ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, start = found.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else start.strip()
