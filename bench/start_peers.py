"""The peers: what others would use for the same end, or the same way of serving without any logic behind it.

Each is one process (or one worker) as its own documentation starts it, on the same Valkey where it needs one. What
claims to limit has to show that it does, once, before it is measured.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from bench.contender import WrongAnswers
from bench.cpu import Group
from bench.install import FOLDER, NODE_PEER, PYTHON_PEER, VENV, program
from bench.over_http import OverHttp, check_client
from bench.processes import Launch, Processes, free_port
from bench.world import World
from bench.wrk import Load

PROXIES = FOLDER / "peers" / "proxies"
TRIES = 5


@dataclass(frozen=True, slots=True)
class Peer:
    """`path` leads to a limit of about one a minute, where there is one to try; `database` is the peer's in Valkey."""

    name: str
    about: str
    launch: Callable[[World, int], tuple[Sequence[str], Path]]
    connections: Sequence[int] = (32,)
    database: int | None = None
    path: str | None = None


async def start_peers(world: World, processes: Processes, is_wanted: Callable[[str], bool]) -> list[OverHttp]:
    """Only those that are asked for."""
    found: list[OverHttp] = []
    for peer in PEERS:
        named = {f"{peer.name}.c{connections}": connections for connections in peer.connections}
        if any(map(is_wanted, named)):
            url, group = await _start(peer, world, processes)
            valkey = world.services.valkey_pid if peer.database is not None else None
            for name, connections in named.items():
                load = Load(f"{url}/check", world.bodies["windows"], world.token, connections)
                found.append(OverHttp(name, peer.about, load, world.samples["windows"], group, valkey))
    return found


async def _start(peer: Peer, world: World, processes: Processes) -> tuple[str, Group]:
    port = free_port()
    command, folder = peer.launch(world, port)
    environment = {"PORT": str(port)}
    if peer.database is not None:
        parts = urlsplit(world.redis_url)
        environment["REDIS_URL"] = urlunsplit(parts._replace(path=f"/{peer.database}"))
    pid = await processes.start(Launch(peer.name, command, folder, port, environment))
    url = f"http://127.0.0.1:{port}"
    if peer.path is not None:
        await _see_limit(peer.name, f"{url}{peer.path}", world.token)
    return url, Group(pid)


async def _see_limit(name: str, url: str, token: str) -> None:
    async with check_client(token) as client:
        statuses = [(await client.post(url, json={"key": "k"})).status_code for _ in range(TRIES)]
    if statuses[0] != 200 or statuses[-1] != 429:
        raise WrongAnswers(f"{name} limits nothing: {statuses}")


def _fastify(_world: World, _port: int) -> tuple[Sequence[str], Path]:
    return [program("node"), "server.js"], NODE_PEER


def _uvicorn(app: str) -> Callable[[World, int], tuple[Sequence[str], Path]]:
    def launch(_world: World, port: int) -> tuple[Sequence[str], Path]:
        serve = [str(VENV / "bin" / "uvicorn"), app, "--port", str(port), "--loop", "uvloop", "--http", "httptools"]
        return [*serve, "--lifespan", "off", "--no-access-log", "--log-level", "warning"], PYTHON_PEER

    return launch


def _granian(interface: str, app: str) -> Callable[[World, int], tuple[Sequence[str], Path]]:
    def launch(_world: World, port: int) -> tuple[Sequence[str], Path]:
        serve = [str(VENV / "bin" / "granian"), "--interface", interface, "--loop", "uvloop", "--port", str(port)]
        return [*serve, "--no-access-log", "--log-level", "warning", app], PYTHON_PEER

    return launch


def _nginx(world: World, port: int) -> tuple[Sequence[str], Path]:
    config = _filled("nginx.conf", world, port)
    return [program("nginx"), "-e", "stderr", "-p", str(config.parent), "-c", str(config)], config.parent


def _haproxy(world: World, port: int) -> tuple[Sequence[str], Path]:
    config = _filled("haproxy.cfg", world, port)
    return [program("haproxy"), "-db", "-f", str(config)], config.parent


def _filled(name: str, world: World, port: int) -> Path:
    """Its configuration in a folder of its own, which goes with the run's."""
    folder = world.folder / name.partition(".")[0]
    folder.mkdir()
    text = (PROXIES / name).read_text().replace("PORT", str(port)).replace("FOLDER", str(folder))
    (folder / name).write_text(text)
    return folder / name


PEERS = (
    Peer(
        "fastify",
        "fastify + rate-limiter-flexible + ioredis, auto-pipelining: one fixed window",
        _fastify,
        connections=(32, 128),
        database=1,
    ),
    Peer(
        "fastapi",
        "FastAPI + limits on uvicorn, uvloop, httptools: one async moving window",
        _uvicorn("app:app"),
        connections=(32, 128),
        database=2,
    ),
    Peer("nginx", "nginx limit_req in its own memory: one leaky bucket, no key read", _nginx, path="/limited"),
    Peer("haproxy", "haproxy stick table in its own memory: one rate, no key read", _haproxy, path="/limited"),
    Peer("uvicorn", "uvicorn, uvloop, httptools, a bare ASGI callable: no logic", _uvicorn("bare:asgi")),
    Peer("granian.asgi", "granian, uvloop, a bare ASGI callable: no logic", _granian("asginl", "bare:asgi")),
    Peer("granian.rsgi", "granian, uvloop, its own RSGI: no logic", _granian("rsgi", "bare:rsgi")),
    Peer("starlette", "a Starlette route on uvicorn, uvloop, httptools: no logic", _uvicorn("route:app")),
)
