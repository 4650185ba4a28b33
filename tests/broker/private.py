"""A RabbitMQ of one's own from the installed package: own node name, ports, data folder and epmd, none left behind.

The scripts that the package puts on the PATH change to a system account; those in its library folder do not, so this
works as root and as anybody else.
"""

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import NamedTuple
from urllib.parse import urlsplit

import aio_pika

from portal.core.embedded.folder import free_port, is_free

ROOT = Path(os.environ.get("PORTAL_TEST_RABBITMQ_ROOT", "/")).resolve()
"""Where RabbitMQ's system begins: another Debian in a folder brings another version, see tests/install_broker4.sh."""
IS_HERE = Path("/") == ROOT
LIBRARIES = ("usr/lib/rabbitmq/lib", "usr/local/lib/rabbitmq/lib", "opt/rabbitmq", "opt/homebrew/opt/rabbitmq")
IN_ROOT = 'mkdir -p "$1$2"; mount --bind "$2" "$1$2"; mount -t proc proc "$1/proc"; exec chroot "$1" "$3"'
START_SECONDS = 120.0
STOP_SECONDS = 30.0
ATTEMPTS = 4
CONFIG = """
listeners.tcp.1 = 127.0.0.1:{port}
log.console = false
log.file.level = warning
disk_free_limit.absolute = 100MB
vm_memory_high_watermark.relative = 0.6
"""
# Schedulers that spin while they wait would take a small machine's cores from what is measured.
ERLANG = "+sbwt none +sbwtdcpu none +sbwtdio none"


def server_script() -> Path | None:
    """The server of the newest installed package."""
    found = [
        script
        for library in (ROOT / name for name in LIBRARIES)
        for script in (*library.glob("rabbitmq_server-*/sbin/rabbitmq-server"), library / "sbin" / "rabbitmq-server")
        if script.is_file()
    ]
    return max(found, default=None)


class Ports(NamedTuple):
    """Free when they are drawn: it takes seconds until RabbitMQ listens, and anybody may be quicker."""

    amqp: int
    distribution: int
    epmd: int

    @classmethod
    def draw(cls) -> "Ports":
        while len(drawn := {free_port() for _ in cls._fields}) < len(cls._fields):
            pass
        return cls(*drawn)


class PrivateBroker:
    """`kill` is kill -9 of the whole node; `start` after it recovers what the folder holds, on the same port."""

    def __init__(self, folder: Path) -> None:
        self.ports = Ports.draw()
        self._folder = folder
        self._name = f"portal-{os.getpid()}-{secrets.token_hex(4)}@localhost"
        self._server: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.ports.amqp}/"

    @property
    def pids(self) -> list[int]:
        """Every process of the node's session."""
        assert self._server is not None
        return session_of(self._server.pid)

    async def start(self) -> None:
        """The first start moves to other ports when somebody took one of its own. Raises RuntimeError with the log."""
        for _ in range(ATTEMPTS if self._epmd is None else 1):
            if await self._is_up():
                return
            await self.stop()
            if all(map(is_free, self.ports)):
                break
            self.ports = Ports.draw()
        raise RuntimeError(self._log())

    async def kill(self) -> None:
        assert self._server is not None
        for pid in session_of(self._server.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(self._server.wait, STOP_SECONDS)

    async def stop(self) -> None:
        """Nothing of it runs afterwards. There is no state to save: killing is quick and leaves nothing."""
        if self._server is not None:
            await self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            await asyncio.to_thread(self._epmd.wait, STOP_SECONDS)
            self._epmd = None

    async def _is_up(self) -> bool:
        """Once it answers; False when it or its epmd ended instead."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "rabbitmq.conf").write_text(CONFIG.format(port=self.ports.amqp))
        (self._folder / "plugins").write_text("[].\n")
        if self._epmd is None:
            epmd = shutil.which("epmd")
            assert epmd is not None, "epmd is not on the PATH"
            self._epmd = self._launch([epmd, "-address", "127.0.0.1"], "epmd.log")
        script = server_script()
        assert script is not None
        self._server = self._launch(self._in_its_root(script), "server.log")
        until = monotonic() + START_SECONDS
        while not await answers(self.url, self._name):
            if self._server.poll() is not None or self._epmd.poll() is not None:
                return False
            assert monotonic() < until, self._log()
            await asyncio.sleep(0.2)
        return True

    def _in_its_root(self, script: Path) -> list[str]:
        """In another root it sees this folder under the same name."""
        if IS_HERE:
            return [str(script)]
        inside = f"/{script.relative_to(ROOT)}"
        return ["unshare", "--mount", "sh", "-euc", IN_ROOT, "sh", str(ROOT), str(self._folder.resolve()), inside]

    def _launch(self, command: list[str], log: str) -> subprocess.Popen[bytes]:
        with (self._folder / log).open("ab") as output:
            return subprocess.Popen(
                _ending_with_us(command),
                env={name: value for name, value in os.environ.items() if not name.startswith("RABBITMQ_")}
                | self._environment(),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        place = str(self._folder)
        return {
            "HOME": place,
            "ERL_EPMD_PORT": str(self.ports.epmd),
            "RABBITMQ_NODENAME": self._name,
            "RABBITMQ_DIST_PORT": str(self.ports.distribution),
            "RABBITMQ_CONFIG_FILE": f"{place}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": f"{place}/none.conf",
            "RABBITMQ_MNESIA_BASE": f"{place}/mnesia",
            "RABBITMQ_LOG_BASE": f"{place}/log",
            "RABBITMQ_PID_FILE": f"{place}/pid",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{place}/plugins",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{place}/generated",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG,
            # As under systemd: the script becomes the server, and no shell stands between us and it.
            "NOTIFY_SOCKET": f"{place}/notify",
        }

    def _log(self) -> str:
        return (self._folder / "server.log").read_text(errors="replace")[-3000:]


def _ending_with_us(command: list[str]) -> list[str]:
    """Where the system can: also a test run that is killed leaves no broker behind."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else command


async def answers(url: str, node: str | None = None) -> bool:
    """Whether a broker at this address lets us in, and is the node: a port may have become somebody else's."""
    address = urlsplit(url)
    with suppress(OSError, aio_pika.exceptions.AMQPError, TimeoutError):
        async with asyncio.timeout(5):
            # A refused log-in or connection is logged by the library; a port that is closed is no news here.
            _, writer = await asyncio.open_connection(address.hostname, address.port or 5672)
            writer.close()
            async with await aio_pika.connect(url) as connection:
                return node is None or _name_of(connection) == node.partition("@")[0]
    return False


def _name_of(connection: aio_pika.abc.AbstractConnection) -> str:
    """The node's name without its host; empty where it does not tell."""
    told = connection.transport.connection.server_properties if connection.transport else {}
    return str(told.get("cluster_name", "")).partition("@")[0]


def session_of(leader: int) -> list[int]:
    """The processes of a session, its leader first."""
    members = [leader]
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):  # noqa: PTH208 names are all that is wanted
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and pid != leader:
                members.append(pid)
    return members
