"""`portal run --demo` of a checkout, as a process of its own: nothing of it is known but its command and ready file."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.processes import STOP_SECONDS, DidNotStart

READY_SECONDS = 240.0
QUIET_SECONDS = 0.2
QUIET_SHARE = 0.05
"""Of a core, beyond what it uses when idle: with less it is done with what it was asked."""
PATIENCE_SECONDS = 30.0
LINE_BYTES = 3000


@dataclass
class DemoPortal:
    """On a folder of its own, which it keeps from one start to the next. `facts` is the ready file."""

    checkout: Path
    folder: Path
    environment: Mapping[str, str]

    def __post_init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return str(self.facts["url"])

    @property
    def data(self) -> Path:
        return self.folder / "data"

    async def start(self, **environment: str) -> None:
        """Until it answers. Raises DidNotStart."""
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        command = [str(self.checkout / ".venv" / "bin" / "portal"), "run", "--demo", "--port", "0"]
        options = ["--data", str(self.data), "--ready-file", str(ready)]
        with (self.folder / "output").open("wb") as output:
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603 our own command, waited for below
                [*command, *options],
                cwd=self.checkout,
                env=_without_settings() | dict(self.environment) | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        until = time.monotonic() + READY_SECONDS
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                raise DidNotStart(f"{self.checkout}:\n{(self.folder / 'output').read_text()[-LINE_BYTES:]}")
            await asyncio.sleep(0.05)
        self.facts = json.loads(ready.read_text())

    async def stop(self) -> None:
        """As Ctrl-C does; what is left after that is killed. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, STOP_SECONDS * 2)
        for pid in self._left_behind():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(process.wait)

    def cpu_seconds(self) -> float:
        """User and system time so far of the process that serves, and of Python processes below it.

        Not of PostgreSQL and Valkey. Workers in processes of their own count, or moving work into one would look like
        saving it.
        """
        return sum(process_cpu_seconds(pid) for pid in python_family(int(self.facts["pid"])))

    async def idle_share(self, seconds: float) -> float:
        """CPU seconds a second while nobody asks for anything."""
        before, began = self.cpu_seconds(), time.monotonic()
        await asyncio.sleep(seconds)
        return (self.cpu_seconds() - before) / (time.monotonic() - began)

    async def settle(self, idle: float) -> None:
        """Until it is done with what it was asked, usage counted: quiet at two looks in a row."""
        until, quiet = time.monotonic() + PATIENCE_SECONDS, 0
        while quiet < 2 and time.monotonic() < until:
            quiet = quiet + 1 if await self.idle_share(QUIET_SECONDS) < idle + QUIET_SHARE else 0

    def _left_behind(self) -> list[int]:
        """Processes that name the folder in their command line."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if str(self.folder).encode() in (place / "cmdline").read_bytes():
                    found.append(int(place.name))
        return found


def process_cpu_seconds(pid: int) -> float:
    """utime + stime of all threads, ended ones too, as /proc/PID/stat has it, but in nanoseconds and not in ticks.

    The clock's number is that of clock_getcpuclockid(3) on Linux. 0 for a process that has ended.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def python_family(pid: int) -> list[int]:
    """The process and those below it that run Python."""
    children: dict[int, list[int]] = {}
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if (place / "exe").readlink().name.startswith("python"):
                children.setdefault(parent, []).append(int(place.name))
    family = [pid]
    for member in family:
        family += children.get(member, [])
    return family


def _without_settings() -> dict[str, str]:
    dropped = ("PORTAL_", "PYTHON", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
