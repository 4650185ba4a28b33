"""`portal serve --workers 2` and `portal worker` as processes of their own, and swarms of clients against them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import httpx2

from portal.core.embedded.folder import free_port
from tests.cli.demo_portal import PORTAL, PROJECT, portal_environment
from tests.faults.tools.check_client import CheckClient
from tests.faults.tools.client_process import Noted, Plan, read_notes
from tests.faults.tools.oracle import node_of
from tests.faults.tools.outages import children_of, frozen

START_SECONDS = 120.0
STOP_SECONDS = 40
SERVERS = 2
_BURST = 8
_TIMEOUT_SECONDS = 1.0


@dataclass
class Served:
    """The server processes on one port and one journal folder, with or without a worker beside them.

    `only` is check or portal where they serve one kind of traffic, `descriptors` how many each process may have.
    """

    folder: Path
    settings: dict[str, str]
    token: str
    servers: int = SERVERS
    only: str | None = None
    descriptors: int | None = None
    port: int = field(default_factory=free_port)
    server: subprocess.Popen[bytes] | None = None
    worker: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start_server(self) -> None:
        kind = () if self.only is None else ("--only", self.only)
        self.server = self._launch("serve", "--port", str(self.port), "--workers", str(self.servers), *kind)
        if self.only == "portal":
            await self._until_ready()
            return
        async with self.a_client_each():
            pass

    async def _until_ready(self) -> None:
        until = monotonic() + START_SECONDS
        async with httpx2.AsyncClient(base_url=self.url) as client:
            while not await _is_ready(client):
                assert monotonic() < until, self.log("serve")[-4000:]
                await asyncio.sleep(0.1)

    def start_worker(self) -> None:
        self.worker = self._launch("worker")

    def children(self) -> list[int]:
        """The processes that answer, without multiprocessing's own."""
        assert self.server is not None
        found = children_of(self.server.pid)
        return [pid for pid in found if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def kill_children(self, pids: Iterable[int]) -> None:
        """Their supervisor starts others by itself."""
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    async def stop(self) -> None:
        """Ctrl-C for both, the worker last, so that it ships what the servers answered."""
        for process in (self.server, self.worker):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGINT)
                await asyncio.to_thread(process.wait, STOP_SECONDS)

    def kill_servers(self) -> None:
        """The supervisor and all that it started, without a chance to say goodbye."""
        assert self.server is not None
        pids = [self.server.pid, *self.children()]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.server.wait(STOP_SECONDS)

    def a_client_each(self) -> "ClientEach":
        return ClientEach(self)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _launch(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            limited = ("bash", "-c", f'ulimit -n {self.descriptors}; exec "$@"', "bash") if self.descriptors else ()
            return subprocess.Popen(
                [*limited, *PORTAL, name, *options],
                cwd=PROJECT,
                env=portal_environment() | self.settings | {"PORTAL_BASE_URL": self.url},
                stdout=log,
                stderr=log,
            )


async def _is_ready(client: httpx2.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz/portal")).is_success
    except httpx2.TransportError:
        return False


class ClientEach:
    """A connection to every server process: opens them until each has one, told by its request ids.

    An idle process is always the quicker one to accept. So the others are frozen for a moment where that is needed.
    """

    def __init__(self, served: Served) -> None:
        self._served = served
        self._by_node: dict[int, CheckClient] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> list[CheckClient]:
        until = monotonic() + START_SECONDS
        while not await self._find():
            assert monotonic() < until, self._served.log("serve")[-4000:]
            await asyncio.sleep(0.1)
        return [*self._by_node.values()]

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _find(self) -> bool:
        """Whether every process has a client now."""
        await asyncio.gather(*[self._open() for _ in range(_BURST)])
        for pid in self._served.children() if self._by_node else []:
            if len(self._by_node) < self._served.servers:
                with frozen({*self._served.children()} - {pid}):
                    await self._open()
        return len(self._by_node) == self._served.servers

    async def _open(self) -> None:
        client = CheckClient(self._served.url, self._served.token)
        self._stack.callback(client.close)
        with suppress(OSError):
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                answer = await client.check({"key": "nobody's"})
            if "requestId" in answer.document:
                node = node_of(answer.document["requestId"])
                if self._by_node.setdefault(node, client) is client:
                    return
        client.close()


class Swarm:
    """Client processes, each connected to one server, in turn; afterwards `notes` holds all that they heard.

    Inside, every connection has had an answer. Before, the other servers were frozen while one was to accept: nothing
    is on its way to them as long as no client has been told to go on.
    """

    def __init__(self, served: Served, plan: Plan) -> None:
        self.notes: list[Noted] = []
        self._served = served
        self._plan = plan
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> "Swarm":
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.tools.client_process", self._plan.to_json()),
            cwd=PROJECT,
            env=portal_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._until_ready()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()
        self.notes = read_notes(Path(self._plan.folder))

    async def _until_ready(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        servers = self._served.children()
        for number in range(self._plan.processes):
            with frozen(pid for place, pid in enumerate(servers) if place != number % self._served.servers):
                self._process.stdin.write(b"\n")
                line = await self._process.stdout.readline()
            assert line == b"ready\n", line.decode()
        self._process.stdin.write(b"\n")

    async def _stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(STOP_SECONDS):
            assert await self._process.wait() == 0
