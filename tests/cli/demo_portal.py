"""`portal run --demo` as a process of its own, started, stopped, killed and started again on one folder."""

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from portal.cli import main
from portal.cli.demo.state_file import DemoState, load_state

PORTAL = (sys.executable, "-c", "from portal.cli import main; main()")
PROJECT = Path(__file__).parents[2]
START_SECONDS = 90
STOP_SECONDS = 40
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pytest", __name__])


def portal_environment() -> dict[str, str]:
    """This one without settings, which `portal run` does not need. Compiling all modules anew would cost seconds."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    if kept.pop("PYTHONDONTWRITEBYTECODE", None):
        kept["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "portal-tests-pycache")
    return kept


async def run_portal(*arguments: str, **settings: str) -> tuple[int, str, str]:
    """A command to its end: exit code, stdout, stderr.

    It is a process of its own, forked from one that has imported the product, which costs more than most commands do.
    """
    with tempfile.TemporaryDirectory() as folder:
        outputs = Path(folder) / "out", Path(folder) / "err"
        process = _FORKS.Process(target=_run, args=(arguments, portal_environment() | settings, outputs))
        process.start()
        await asyncio.to_thread(process.join)
        assert process.exitcode is not None
        out, err = (path.read_text() for path in outputs)
        return process.exitcode, out, err


def _run(arguments: tuple[str, ...], environment: dict[str, str], outputs: tuple[Path, Path]) -> None:
    for handle, path in enumerate(outputs, start=1):
        with path.open("wb") as file:
            os.dup2(file.fileno(), handle)
    os.chdir(PROJECT)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["portal", *arguments]
    main()


@dataclass
class DemoPortal:
    """`facts` is the ready file of the current start; a later start keeps the port. `environment` is added to ours."""

    folder: Path
    facts: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    command: tuple[str, ...] = PORTAL
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def ready_file(self) -> Path:
        return self.folder / "ready.json"

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    @property
    def url(self) -> str:
        url: str = self.facts["url"]
        return url

    def launch(self) -> subprocess.Popen[bytes]:
        """Start without waiting for it to answer."""
        port = self.url.rpartition(":")[2] if self.facts else "0"
        self.ready_file.unlink(missing_ok=True)
        options = ["--demo", "--port", port, "--data", str(self.data), "--ready-file", str(self.ready_file)]
        with (self.folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [*self.command, "run", *options],
                cwd=PROJECT,
                env=portal_environment() | self.environment,
                stdout=output,
                stderr=output,
            )
        return self.process

    def start(self) -> None:
        process = self.launch()
        until = monotonic() + START_SECONDS
        while not self.ready_file.exists():
            assert process.poll() is None, self.output
            assert monotonic() < until, self.output
            sleep(0.05)
        self.facts = json.loads(self.ready_file.read_text())

    def wait_for_accounts(self) -> DemoState:
        """Until the first start has made them and is counting usage."""
        until = monotonic() + START_SECONDS
        while (kept := load_state(self.data)) is None:
            assert monotonic() < until, self.output
            sleep(0.02)
        return kept

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def processes(self) -> list[int]:
        """Every process that works on the folder: named in its command line, or its working folder."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._is_ours(pid)]  # noqa: PTH208 names are all that is wanted

    def _is_ours(self, pid: int) -> bool:
        place = Path("/proc") / str(pid)
        try:
            is_named = str(self.data).encode() in (place / "cmdline").read_bytes()
            return is_named or (place / "cwd").readlink().is_relative_to(self.data)
        except OSError:
            return False
