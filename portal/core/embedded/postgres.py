"""PostgreSQL 15 or newer: made on the first start, stopped by fast shutdown, recovered from its log after a kill.

Under root it runs as another account, which may be unable to pass the folders above the data folder: `spawn` opens
the folder for it, so nothing has to be opened to others.
"""

import asyncio
import os
import secrets
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import asyncpg

from portal.core.embedded.account import account_for
from portal.core.embedded.binaries import drop_copy, find_postgres, reachable_programs
from portal.core.embedded.folder import HOST, Endpoint
from portal.core.embedded.process import FOLDER, Readiness, ServerProcess, in_thread, spawn
from portal.core.errors import StartupError

ENDPOINT = "postgres.json"
NAME = "portal"
"""Of the database and of the role that owns the server."""
STOP_ORDERS = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 10.0))
"""Fast shutdown (a checkpoint, then the end), then immediate shutdown (recovery at the next start)."""
PID_FILE_STATUS_LINE = 7
PROBE_SECONDS = 2.0
SSL_REQUEST = bytes.fromhex("0000000804d2162f")
"""Answered by one byte before any log-in: PostgreSQL documentation, "Message Formats"."""
ORPHAN_SECONDS = 10.0
ORPHANS_REMAIN = "pre-existing shared memory block"
INITDB = f"--username={NAME} --pwfile=/dev/stdin --auth=scram-sha-256 --no-instructions --encoding=UTF8".split()
BUILTIN_LOCALE_SINCE = 17
BUILTIN_LOCALE = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
SYSTEM_LOCALE = ["--locale=C", f"--lc-ctype={'C.UTF-8' if sys.platform == 'linux' else 'UTF-8'}"]
"""Sort by bytes as the builtin locale does, and take letters' cases from the system."""
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "shared_buffers": "128MB",
    "max_connections": "100",
    "jit": "off",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}
FRAGILE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
"""For tests: what was committed survives a killed server, but not a machine that loses power."""


class Postgres:
    """One server on `data/postgres`. Its methods do not overlap: one start or stop at a time."""

    def __init__(self, data: Path, *, durable: bool) -> None:
        self._folder = data / "postgres"
        self._endpoint_path = data / ENDPOINT
        self._copy_record = data / "postgres.copy"
        self._durable = durable
        self.process = ServerProcess("postgres", data)

    @property
    def url(self) -> str:
        """Return the address of the database, with its password."""
        return postgres_url(self._endpoint)

    async def open(self) -> None:
        """Start for the first time: clear what an earlier process left, create the cluster if there is none."""
        over = await self.process.stop_leftover(*STOP_ORDERS)
        self._account = await in_thread(lambda: account_for(self._folder))
        found = await in_thread(lambda: find_postgres(self._data_major(), self._account))
        self._major = found.major
        self._programs = await in_thread(lambda: reachable_programs(found, self._account, self._copy_record))
        self._endpoint = await in_thread(lambda: Endpoint.load(self._endpoint_path))
        await in_thread(lambda: self._prepare(over))
        self._endpoint = await in_thread(lambda: self._endpoint.with_free_port(self._endpoint_path))
        await self.start()
        await self._ensure_database()

    async def start(self) -> None:
        """On the same port. Nothing happens while it runs."""
        deadline = asyncio.get_running_loop().time() + ORPHAN_SECONDS
        while not await self.process.is_ready(self._probe):
            await self.process.launch(self._command(), self._folder, self._account)
            try:
                await self.process.wait_ready(self._probe)
            except StartupError:
                # Backends of a killed server take a moment to notice, and hold its memory until then.
                is_over = asyncio.get_running_loop().time() > deadline
                if is_over or ORPHANS_REMAIN not in self.process.log_of_this_start():
                    raise
                await asyncio.sleep(0.1)

    async def stop(self) -> None:
        await self.process.stop(*STOP_ORDERS)

    async def close(self) -> None:
        """Stop for the last time, and drop what only a running server needs."""
        await self.stop()
        await in_thread(lambda: drop_copy(self._copy_record))

    def _data_major(self) -> int | None:
        """Return the major version that made the cluster; None where there is none yet."""
        try:
            return int((self._folder / "PG_VERSION").read_text())
        except FileNotFoundError:
            return None
        except ValueError:
            raise StartupError(f"{self._folder / 'PG_VERSION'} is damaged.", hint="Restore it from a backup.") from None

    def _prepare(self, over: int | None) -> None:
        if not self._folder.exists():
            self._make_cluster()
        elif self._account and self._folder.stat().st_uid == 0:
            self._account.take_over(self._folder)
        # A pid that was the server's and may be anybody's by now (after a restart of the container, often)
        # would make PostgreSQL refuse to start.
        if over is not None and self._pid_file()[:1] == [str(over)]:
            (self._folder / "postmaster.pid").unlink()

    def _make_cluster(self) -> None:
        """Under another name first: a portal killed half-way leaves no half cluster behind."""
        for unfinished in self._folder.parent.glob("postgres.new-*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        cluster = self._folder.with_name(f"postgres.new-{secrets.token_hex(4)}")
        cluster.mkdir(mode=0o700)
        if self._account:
            self._account.take_over(cluster)
        with tempfile.TemporaryFile() as password, tempfile.TemporaryFile() as output:
            password.write(f"{self._endpoint.password}\n".encode())
            password.seek(0)
            if self._account:
                os.fchown(password.fileno(), self._account.uid, self._account.gid)
            self._run_initdb(cluster, password.fileno(), output.fileno())
        cluster.rename(self._folder)

    def _run_initdb(self, cluster: Path, password: int, output: int) -> None:
        sync = [] if self._durable else ["--no-sync"]
        locale = BUILTIN_LOCALE if self._major >= BUILTIN_LOCALE_SINCE else SYSTEM_LOCALE
        command = [str(self._programs / "initdb"), *INITDB, *locale, *sync, "-D", FOLDER]
        if spawn(command, cluster, self._account, password, output).wait():
            log = os.pread(output, 4000, 0).decode(errors="replace")
            raise StartupError(f"PostgreSQL could not make its data folder.\n{log}", hint=str(cluster))

    def _command(self) -> list[str]:
        settings = {**SETTINGS, **({} if self._durable else FRAGILE), "port": str(self._endpoint.port)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self._programs / "postgres"), "-D", FOLDER, *options]

    def _pid_file(self) -> list[str]:
        try:
            return [line.strip() for line in (self._folder / "postmaster.pid").read_text().splitlines()]
        except FileNotFoundError:
            return []

    async def _probe(self) -> Readiness:
        lines = self._pid_file()
        if len(lines) <= PID_FILE_STATUS_LINE or lines[0] != str(self.process.pid):
            return Readiness.DOWN
        if lines[PID_FILE_STATUS_LINE] != "ready":
            return Readiness.RECOVERING
        return Readiness.READY if await self._is_answering() else Readiness.DOWN

    async def _is_answering(self) -> bool:
        """Ask the server itself: its file alone would vouch for one that is being killed. Nothing of this is logged."""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(PROBE_SECONDS):
                reader, writer = await asyncio.open_connection(HOST, self._endpoint.port)
                try:
                    writer.write(SSL_REQUEST)
                    return await reader.read(1) == b"N"
                finally:
                    writer.close()
        return False

    async def _ensure_database(self) -> None:
        """Also the proof that our password opens this cluster."""
        try:
            connection = await asyncpg.connect(
                host=HOST, port=self._endpoint.port, user=NAME, password=self._endpoint.password,
                database="postgres", ssl=False, timeout=10,
            )  # fmt: skip
        except (asyncpg.PostgresError, OSError) as refused:
            raise StartupError(
                f"PostgreSQL refuses the password in {self._endpoint_path}: {refused}",
                hint="Restore that file together with the folder.",
            ) from refused
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", NAME):
                await connection.execute(f"CREATE DATABASE {NAME}")
        finally:
            await connection.close()


def postgres_url(endpoint: Endpoint) -> str:
    """Return the address of the embedded database."""
    return f"postgresql+asyncpg://{NAME}:{endpoint.password}@{HOST}:{endpoint.port}/{NAME}"
