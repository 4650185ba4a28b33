"""Real servers to kill, freeze and promote: plain ones, and a master with a replica and three Sentinels."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from redis.asyncio import Redis
from redis.exceptions import RedisError

from portal.core.embedded.binaries import find_valkey
from portal.core.embedded.folder import free_port

HOST = "127.0.0.1"
MASTER = "mymaster"
PASSWORD = "hush"
SENTINEL_PASSWORD = "whisper"
DOWN_AFTER_MS = 500
START_SECONDS = 15.0
SERVER = f"""\
bind {HOST}
port {{port}}
dir {{folder}}
requirepass {PASSWORD}
masterauth {PASSWORD}
save ""
appendonly no
repl-diskless-sync-delay 0
repl-timeout 5
"""
SENTINEL = f"""\
bind {HOST}
port {{port}}
dir {{folder}}
requirepass {SENTINEL_PASSWORD}
sentinel sentinel-pass {SENTINEL_PASSWORD}
sentinel monitor {MASTER} {HOST} {{master}} 2
sentinel auth-pass {MASTER} {PASSWORD}
sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}
sentinel failover-timeout {MASTER} 3000
sentinel parallel-syncs {MASTER} 1
"""


@dataclass
class Server:
    """One process on a port of its own; `config` has places for `port` and `folder`, `environment` adds to ours."""

    folder: Path
    config: str
    password: str = PASSWORD
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    @property
    def name(self) -> str:
        return f"{HOST}:{self.port}/0"

    async def start(self) -> None:
        """Also again, after it was killed."""
        self.stop()
        self.folder.mkdir(exist_ok=True)
        path = self.folder / "server.conf"
        if not path.exists():
            path.write_text(self.config.format(port=self.port, folder=self.folder))
        self._launch([str(find_valkey()), str(path), *self.options])
        await until(self._answers, f"{self.folder.name} does not answer")

    def client(self) -> Redis:
        return Redis(host=HOST, port=self.port, password=self.password, protocol=2)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _launch(self, command: list[str]) -> None:
        with (self.folder / "log").open("ab") as log:
            environment = os.environ | self.environment
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)

    async def _answers(self) -> bool:
        with suppress(RedisError, OSError):
            async with self.client() as client:
                return bool(await client.ping())
        return False


@dataclass
class Watched:
    """`first` begins as the master, `second` as its replica."""

    first: Server
    second: Server
    sentinels: list[Server]

    @property
    def url(self) -> str:
        places = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://:{PASSWORD}@{places}/{MASTER}?sentinel_password={SENTINEL_PASSWORD}"

    async def await_replica(self, replica: Server) -> None:
        """Until it has everything that its master has."""

        async def is_linked() -> bool:
            async with replica.client() as client:
                facts = await client.info("replication")
            return bool(facts["role"] == "slave" and facts["master_link_status"] == "up")

        await until(is_linked, "the replica does not follow")

    async def await_quorum(self) -> None:
        """Until each Sentinel knows the replica and both others, without which there is no promotion."""

        async def is_whole() -> bool:
            for sentinel in self.sentinels:
                async with sentinel.client() as client:
                    state = (await client.info("sentinel"))["master0"]
                if (state["slaves"], state["sentinels"], state["status"]) != (1, 3, "ok"):
                    return False
            return True

        await until(is_whole, "the Sentinels do not find each other")


@asynccontextmanager
async def plain_servers(folder: Path, count: int) -> AsyncIterator[list[Server]]:
    with ExitStack() as stack:
        yield [await _started(stack, Server(folder / f"shard{number}", SERVER)) for number in range(count)]


@asynccontextmanager
async def watched_pair(folder: Path) -> AsyncIterator[Watched]:
    with ExitStack() as stack:
        first = await _started(stack, Server(folder / "first", SERVER))
        second = await _started(stack, Server(folder / "second", f"{SERVER}replicaof {HOST} {first.port}\n"))
        config = SENTINEL.replace("{master}", str(first.port))
        sentinels = [
            await _started(stack, Server(folder / f"sentinel{number}", config, SENTINEL_PASSWORD, ("--sentinel",)))
            for number in range(3)
        ]
        watched = Watched(first, second, sentinels)
        await watched.await_replica(second)
        await watched.await_quorum()
        yield watched


async def until(is_so: Callable[[], Awaitable[bool]], otherwise: str, seconds: float = START_SECONDS) -> None:
    end = monotonic() + seconds
    while not await is_so():
        assert monotonic() < end, otherwise
        await asyncio.sleep(0.05)


async def _started(stack: ExitStack, server: Server) -> Server:
    stack.callback(server.stop)
    await server.start()
    return server
