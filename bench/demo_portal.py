"""`portal run --demo` of a checkout, and `portal serve --only check` on its servers, as processes of their own.

Nothing of them is known but the command, the ready file, and where the data folder keeps PostgreSQL's password.
"""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.processes import STOP_SECONDS, DidNotStart, answers, free_port

READY_SECONDS = 240.0
QUIET_SECONDS = 0.2
QUIET_SHARE = 0.05
"""Of a core, beyond what it uses when idle: with less it is done with what it was asked."""
PATIENCE_SECONDS = 30.0
LOG_CHARACTERS = 3000


@dataclass
class DemoPortal:
    """On a folder of its own, which it keeps from one start to the next.

    `facts` is the ready file. `url` and `pid` are those of the process that serves checks: the portal itself, or with
    `is_check_alone` a process beside it that does nothing else, and whose usage nobody ships.
    """

    checkout: Path
    folder: Path
    environment: Mapping[str, str]
    is_check_alone: bool = False

    def __post_init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self.url = ""
        self.pid = 0
        self._processes: list[subprocess.Popen[bytes]] = []

    async def start(self, **environment: str) -> None:
        """Until it answers. Raises DidNotStart."""
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        options = ["run", "--demo", "--port", "0", "--data", str(self.folder / "data"), "--ready-file", str(ready)]
        await self._launch(options, environment, ready.exists)
        self.facts = json.loads(ready.read_text())
        self.url, self.pid = str(self.facts["url"]), int(self.facts["pid"])
        if self.is_check_alone:
            await self._serve_checks(environment)

    async def stop(self) -> None:
        """As Ctrl-C does, the last one first; what is left after that is killed. Idempotent."""
        while self._processes:
            process = self._processes.pop()
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, STOP_SECONDS * 2)
            with suppress(ProcessLookupError):
                process.kill()
            await asyncio.to_thread(process.wait)
        for pid in self._left_behind():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def database_url(self) -> str:
        """As the role that owns everything: its name is the database's."""
        password = json.loads((self.folder / "data" / "postgres.json").read_text())["password"]
        database = urlsplit(self.facts["database_url"])
        name = database.path.lstrip("/")
        return f"postgresql://{name}:{password}@{database.hostname}:{database.port}/{name}"

    def cpu_seconds(self) -> float:
        """User and system time so far of the process that serves, and of Python processes below it.

        Not of PostgreSQL and Valkey. Workers in processes of their own count, or moving work into one would look like
        saving it.
        """
        return sum(process_cpu_seconds(pid) for pid in python_family(self.pid))

    async def _serve_checks(self, environment: Mapping[str, str]) -> None:
        port = free_port()
        settings = {
            "PORTAL_DATABASE_URL": self.database_url().replace("postgresql:", "postgresql+asyncpg:", 1),
            "PORTAL_REDIS_URLS": ",".join(self.facts["redis_urls"]),
            "PORTAL_DATA": str(self.folder / "check"),
            "PORTAL_LOG_LEVEL": "WARNING",
        }
        options = ["serve", "--only", "check", "--port", str(port)]
        self.pid = await self._launch(options, {**environment, **settings}, lambda: answers(port))
        self.url = f"http://127.0.0.1:{port}"

    async def _launch(
        self, options: Sequence[str], environment: Mapping[str, str], is_ready: Callable[[], bool]
    ) -> int:
        """Return the pid of a portal that is ready. Raises DidNotStart with the end of its output."""
        log = self.folder / f"{options[0]}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: ASYNC220, S603 our own command, waited for in `stop`
                [str(self.checkout / ".venv" / "bin" / "portal"), *options],
                cwd=self.checkout,
                env=_without_settings() | dict(self.environment) | dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._processes.append(process)
        until = time.monotonic() + READY_SECONDS
        while not is_ready():
            if process.poll() is not None or time.monotonic() > until:
                raise DidNotStart(f"{self.checkout}: portal {options[0]}\n{log.read_text()[-LOG_CHARACTERS:]}")
            await asyncio.sleep(0.05)
        return process.pid

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
