"""Child processes of a run: each in a group of its own with a log file, and none left behind."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

READY_SECONDS = 60.0
STOP_SECONDS = 15.0


class DidNotStart(Exception):
    """With the end of its log."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start; `port` answers on loopback once it is ready."""

    name: str
    command: Sequence[str]
    folder: Path
    port: int
    environment: Mapping[str, str]


class Processes:
    """A context: at its end everything that was started in it has ended."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[subprocess.Popen[bytes]] = []

    async def start(self, launch: Launch) -> int:
        """The pid of a process that answers on its port. Raises DidNotStart."""
        log = self._logs / f"{launch.name}.log"
        child = self._launch(launch, log)
        for _ in range(int(READY_SECONDS / 0.05)):
            if child.poll() is not None:
                break
            if answers(launch.port):
                return child.pid
            await asyncio.sleep(0.05)
        raise DidNotStart(f"{launch.name} did not start:\n{log.read_text()[-3000:]}")

    def _launch(self, launch: Launch, log: Path) -> subprocess.Popen[bytes]:
        with log.open("wb") as output:
            child = subprocess.Popen(  # noqa: S603 our own commands
                launch.command,
                cwd=launch.folder,
                env={**os.environ, **launch.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append(child)
        return child

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._running:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
        for child in self._running:
            with suppress(subprocess.TimeoutExpired):
                child.wait(STOP_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
        return True
    return False


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
