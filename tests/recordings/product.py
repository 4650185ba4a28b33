"""Start and stop the real product: the `portal` command on a folder of its own, and what is needed to look inside."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

START_SECONDS = 180.0
STOP_SECONDS = 60.0
COMMAND_SECONDS = 300.0
Result = TypeVar("Result")
KNOWN_DRAW = """
import secrets
draw, is_drawn = secrets.randbits, []
def randbits(bits):
    if bits != 32 or is_drawn:
        return draw(bits)
    is_drawn.append(True)
    return 20261130
secrets.randbits = randbits
"""


@dataclass(frozen=True, slots=True)
class Product:
    """A running `portal run --demo`. `ready` is its ready file, `port` where it answers."""

    portal: Path
    folder: Path
    process: subprocess.Popen[bytes]
    ready: dict[str, Any]

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def port(self) -> int:
        return int(self.ready["url"].rpartition(":")[2])

    @property
    def error_log(self) -> str:
        return (self.folder / "stderr").read_text(errors="replace")

    @property
    def service_addresses(self) -> dict[str, str]:
        """The environment in which another process uses the same PostgreSQL and Valkey."""
        postgres = json.loads((self.data / "postgres.json").read_text())
        place = f"portal:{postgres['password']}@127.0.0.1:{postgres['port']}/portal"
        redis = ",".join(self.ready["redis_urls"])
        return {"PORTAL_DATABASE_URL": f"postgresql+asyncpg://{place}", "PORTAL_REDIS_URLS": redis}


def tell(text: str) -> None:
    """A line of what the tool is doing, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def clean_environment(**more: str) -> dict[str, str]:
    """No setting of the caller's reaches the product; what it prints has one width and no colours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PORTAL_", "PYTHON", "COV_"))}
    return {**kept, "COLUMNS": "100", "LINES": "40", "NO_COLOR": "1", "TERM": "dumb", "TZ": "UTC", **more}


def stable_environment(folder: Path) -> dict[str, str]:
    """The environment in which the demo's usage is drawn from the same seed each time.

    The product asks the standard library once for 32 random bits; a sitecustomize of ours answers the first such call.
    A busy machine shall not degrade answers either: the deadline is long.
    """
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site" / "sitecustomize.py").write_text(KNOWN_DRAW)
    return clean_environment(PYTHONPATH=str(folder / "site"), PORTAL_CHECK_DEADLINE_MS="900")


def start(portal: Path, folder: Path) -> Product:
    """Start it in a process group of its own and wait until it answers. Raises RuntimeError with its log."""
    ready_file = folder / "ready.json"
    ready_file.unlink(missing_ok=True)
    command = [str(portal), "run", "--demo", "--ready-file", str(ready_file), "--port", "0"]
    with (folder / "stdout").open("ab") as output, (folder / "stderr").open("ab") as errors:
        process = subprocess.Popen(
            [*command, "--data", str(folder / "data")],
            stdout=output, stderr=errors, cwd=folder, env=stable_environment(folder), start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + START_SECONDS
    while not ready_file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            stop_process(process)
            raise RuntimeError(f"the portal did not start:\n{(folder / 'stderr').read_text()[-3000:]}")
        time.sleep(0.1)
    return Product(portal, folder, process, json.loads(ready_file.read_text()))


def stop_process(process: subprocess.Popen[bytes]) -> int:
    """Ctrl-C, and kill -9 of its group when that does not help."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            kill_group(process)
    return process.wait()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def kill_servers(data: Path) -> None:
    """kill -9 of the embedded servers of a portal that is gone; each leads a group of its own."""
    for record in data.glob("*.process"):
        pid = int(json.loads(record.read_text())["pid"])
        place = Path(f"/proc/{pid}/cwd")
        with suppress(OSError):
            if place.resolve().is_relative_to(data.resolve()):
                os.killpg(pid, signal.SIGKILL)


@contextmanager
def running(portal: Path, folder: Path) -> Iterator[Product]:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        product = start(portal, folder)
        try:
            yield product
        finally:
            stop_process(product.process)
    finally:
        kill_servers(folder / "data")


@contextmanager
def running_beside(product: Product, arguments: list[str], name: str, **settings: str) -> Iterator[Path]:
    """Another process of the product (`serve`, `worker`) on the same services; yields the file of its log."""
    log = product.folder / f"{name}.log"
    journal = product.folder / f"{name}.data"
    environment = clean_environment(**product.service_addresses, PORTAL_DATA=str(journal), **settings)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(product.portal), *arguments],
            stdout=output, stderr=output, cwd=product.folder, env=environment, start_new_session=True,
        )  # fmt: skip
    try:
        yield log
    finally:
        stop_process(process)


def run_command(
    portal: Path, arguments: list[str], folder: Path, settings: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    done = subprocess.run(
        [str(portal), *arguments],
        cwd=folder, env=clean_environment(**(settings or {})), capture_output=True, timeout=COMMAND_SECONDS,
        check=False,        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


async def connect(data: Path) -> Any:
    """A superuser's connection to the embedded PostgreSQL, asyncpg's."""
    endpoint = json.loads((data / "postgres.json").read_text())
    return await asyncpg.connect(
        host="127.0.0.1", port=endpoint["port"], user="portal", password=endpoint["password"],
        database="portal", ssl=False, server_settings={"application_name": "recordings"},
    )  # fmt: skip


def query(data: Path, statement: str) -> list[Any]:
    async def ask() -> list[Any]:
        connection = await connect(data)
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()

    return run_async(ask())


def run_async(work: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(work)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
