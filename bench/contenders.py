"""Everything that is measured, with the servers that it needs, started once for the whole run."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from bench import redis_alone
from bench.contender import Contender, WrongAnswers
from bench.cpu import Group
from bench.h2load import run_h2load
from bench.ingest import Ingest
from bench.install import FOLDER
from bench.journal_tally import JournalTally
from bench.open_loop import OpenLoop
from bench.over_http import Books, OverHttp, check_client
from bench.processes import Launch, Processes, free_port
from bench.start_peers import start_peers
from bench.world import BATCH, World
from bench.wrk import Load
from portal.core.embedded.binaries import find_valkey

CHECKOUT = FOLDER.parent
PORTAL = "from portal.cli import main; main()"
FULL = "check.windows.c32"
DEADLINE_MS = 250
"""Ten times the default: on a machine that is saturated on purpose every check shall still be decided by Redis."""
MedianOf = Callable[[str], float | None]


@dataclass(frozen=True, slots=True)
class Options:
    """`only`: beginnings of names, empty for all. `against`: another checkout to measure beside."""

    only: tuple[str, ...]
    rounds: int
    seconds: float
    against: Path | None
    history_rows: int

    def is_wanted(self, name: str) -> bool:
        return name.startswith(self.only or ("",))


@dataclass(frozen=True, slots=True)
class Server:
    """A running server of ours. `group` has the process that was started, and its workers."""

    url: str
    group: Group
    books: Books


async def start_portal(world: World, processes: Processes, name: str, checkout: Path, workers: int = 1) -> Server:
    """`portal serve --only check`, as in production, with a journal of its own."""
    data, port = world.folder / name, free_port()
    command = [sys.executable, "-c", PORTAL, "serve", "--only", "check", "--port", str(port), "--workers", str(workers)]
    environment = {
        "PORTAL_DATABASE_URL": world.services.database_url,
        "PORTAL_REDIS_URLS": world.redis_url,
        "PORTAL_DATA": str(data),
        "PORTAL_LOG_LEVEL": "WARNING",
        "PORTAL_CHECK_DEADLINE_MS": str(DEADLINE_MS),
    }
    pid = await processes.start(Launch(name, command, checkout, port, environment))
    url = f"http://127.0.0.1:{port}"
    await asyncio.gather(*[_warm(world, url) for _ in range(workers * 2)])
    return Server(url, Group(pid), Books(world, JournalTally(data / "journal")))


async def _warm(world: World, url: str) -> None:
    """Look at every key once (cost 0 leaves no trace), so that no policy is cold when the clock runs."""
    looks = [{**body, "cost": 0} for bodies in world.samples.values() for body in bodies]
    async with check_client(world.token) as client:
        for begin in range(0, len(looks), BATCH):
            answer = await client.post(f"{url}/check/batch", json={"checks": looks[begin : begin + BATCH]})
            if answer.status_code != 200:
                raise WrongAnswers(f"{url}: {answer.text}")


async def start_contenders(
    world: World, processes: Processes, median_of: MedianOf, options: Options
) -> list[Contender]:
    """Those that are asked for."""
    portal = await start_portal(world, processes, "check", CHECKOUT)
    pair = await start_portal(world, processes, "check-two", CHECKOUT, workers=2)
    found = [*_checks(world, portal, pair), *await _ceilings(world, processes, portal)]
    found += await start_peers(world, processes, options.is_wanted)
    if options.against is not None:
        other = await start_portal(world, processes, "check-other", options.against)
        found += _peers(found, other)
    load = Load(f"{portal.url}/check", world.bodies["windows"], world.token, 64)
    about = f"{FULL} at half of its saturation, from the intended send time"
    open_loop = OpenLoop("open_loop", about, load, portal.books, lambda: median_of(FULL))
    alone = redis_alone.contenders(await _start_valkey(world, processes))
    every: list[Contender] = [*found, open_loop, *alone, Ingest(world)]
    return [contender for contender in every if options.is_wanted(contender.name)]


async def _start_valkey(world: World, processes: Processes) -> str:
    """A server that keeps nothing on disk: what the script alone costs."""
    port = free_port()
    command = [str(find_valkey()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    await processes.start(Launch("valkey", command, world.folder, port, {}))
    return f"redis://127.0.0.1:{port}"


def _checks(world: World, portal: Server, pair: Server) -> list[OverHttp]:
    valkey = world.services.valkey_pid

    def check(name: str, group: str, connections: int, about: str, expected: str = "VALID") -> OverHttp:
        load = Load(f"{portal.url}/check", world.bodies[group], world.token, connections)
        sample = world.samples[group]
        return OverHttp(
            f"check.{name}.c{connections}", about, load, sample, portal.group, valkey, portal.books, expected
        )

    batch = Load(f"{portal.url}/check/batch", world.bodies["batch"], world.token, 8)
    sample = [{"checks": world.samples["windows"][:BATCH]}]
    about = "100 checks a request, one process"
    entry = OverHttp("batch.one", about, batch, sample, portal.group, valkey, portal.books, each=BATCH)
    one_key = check("one_key", "one", 32, "two token buckets + quota, every check of one key")
    again = "check.one_key.c32 by h2load instead of wrk: a second opinion"
    two = replace(batch, url=f"{pair.url}/check/batch", connections=16)
    return [
        check("windows", "windows", 32, "two sliding windows + quota, 1,000 keys of 100 accounts"),
        check("windows", "windows", 1, "the same"),
        check("windows", "windows", 128, "the same"),
        check("buckets", "buckets", 32, "two token buckets + quota, 1,000 keys"),
        one_key,
        replace(one_key, name="check.one_key.h2load", about=again, run=run_h2load),
        check("denied", "denied", 32, "everything denied, 100 keys", "RATE_LIMITED"),
        entry,
        replace(
            entry,
            name="batch.two",
            about="100 checks a request, two processes",
            load=two,
            server=pair.group,
            books=pair.books,
        ),
    ]


def _peers(portal_figures: list[OverHttp], other: Server) -> list[OverHttp]:
    """The same of another checkout."""
    found = []
    for entry in portal_figures:
        if entry.name in {FULL, "check.buckets.c32", "check.denied.c32", "batch.one"}:
            load = replace(entry.load, url=other.url + urlsplit(entry.load.url).path)
            about = "the same by the other checkout"
            own_figures = replace(entry, name=f"other.{entry.name}", about=about, load=load)
            found.append(replace(own_figures, server=other.group, books=other.books))
    return found


async def _ceilings(world: World, processes: Processes, portal: Server) -> list[OverHttp]:
    """They send what ours sends."""
    answer = world.folder / "answer.json"
    async with check_client(world.token) as client:
        answer.write_bytes((await client.post(f"{portal.url}/check", json=world.samples["windows"][0])).content)
    about = {"bytes": "httptools and constant bytes: the HTTP ceiling", "lane": "our lane before a constant desk"}
    found = []
    for kind in about:
        port = free_port()
        command = [sys.executable, "-m", "bench.ceiling", kind, str(port), str(answer)]
        pid = await processes.start(Launch(f"ceiling-{kind}", command, CHECKOUT, port, {}))
        load = Load(f"http://127.0.0.1:{port}/check", world.bodies["windows"], world.token, 32)
        found.append(OverHttp(f"ceiling.{kind}.c32", about[kind], load, world.samples["windows"], Group(pid)))
    return found
