"""Valkey or Redis: append-only file synced every second, flushed by an orderly stop, cut tail forgiven at load."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

from portal.core.embedded.binaries import find_valkey
from portal.core.embedded.folder import HOST, Endpoint, write_private
from portal.core.embedded.process import Readiness, ServerProcess, in_thread

ENDPOINT = "valkey.json"
STOP_ORDERS = ((signal.SIGTERM, 15.0),)
"""Valkey's own orderly shutdown: it writes and syncs the append-only file, then ends."""
PROBE_SECONDS = 2.0
CONFIG = """\
bind {host}
port {port}
requirepass {password}
appendonly {appendonly}
appendfsync everysec
aof-load-truncated yes
save ""
maxmemory-policy noeviction
daemonize no
logfile ""
"""


class Valkey:
    """One server on `data/valkey`. Its methods do not overlap: one start or stop at a time."""

    def __init__(self, data: Path, *, durable: bool) -> None:
        self._folder = data / "valkey"
        self._endpoint_path = data / ENDPOINT
        self._durable = durable
        self.process = ServerProcess("valkey", data)

    @property
    def url(self) -> str:
        """Return the address of the server, with its password."""
        return valkey_url(self._endpoint)

    async def open(self) -> None:
        """Start for the first time in this process: clear what an earlier one left."""
        await self.process.stop_leftover(*STOP_ORDERS)
        self._program = await in_thread(find_valkey)
        await in_thread(self._prepare)
        await self.start()

    async def start(self) -> None:
        """On the same port. Nothing happens while it runs."""
        if not await self.process.is_ready(self._probe):
            await self.process.launch([str(self._program), str(self._config_path)], self._folder, None)
            await self.process.wait_ready(self._probe)

    async def stop(self) -> None:
        await self.process.stop(*STOP_ORDERS)

    @property
    def _config_path(self) -> Path:
        return self._folder / "valkey.conf"

    def _prepare(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._endpoint = Endpoint.load(self._endpoint_path).with_free_port(self._endpoint_path)
        config = CONFIG.format(
            host=HOST,
            port=self._endpoint.port,
            password=self._endpoint.password,
            appendonly="yes" if self._durable else "no",
        )
        write_private(self._config_path, config)

    async def _probe(self) -> Readiness:
        """Only our own server knows the password, so an answer proves that it is ours."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                answers = await self._ask(f"AUTH {self._endpoint.password}\r\nPING\r\n")
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return Readiness.DOWN
        if answers == [b"+OK\r\n", b"+PONG\r\n"]:
            return Readiness.READY
        return Readiness.RECOVERING if answers[1].startswith(b"-LOADING") else Readiness.DOWN

    async def _ask(self, commands: str) -> list[bytes]:
        reader, writer = await asyncio.open_connection(HOST, self._endpoint.port)
        try:
            writer.write(commands.encode())
            return [await reader.readuntil(b"\n") for _ in range(2)]
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def valkey_url(endpoint: Endpoint) -> str:
    """Return the address of the embedded server."""
    return f"redis://:{endpoint.password}@{HOST}:{endpoint.port}/0"
