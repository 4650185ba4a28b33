"""Where the check's time goes: `python -m bench.profile [--group windows] [--path /check] [--seconds 8] [--top 40]`.

py-spy samples the process of `portal serve --only check` while wrk loads it; its stacks are added up by function, alone
(self) and with what it calls (total). The raw stacks are kept for a flame graph.
"""

import argparse
import asyncio
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.contenders import CHECKOUT, start_portal
from bench.folders import own_folder
from bench.install import FOLDER, VENV, install
from bench.processes import Processes
from bench.world import open_world
from bench.wrk import Load, run_wrk

PY_SPY = VENV / "bin" / "py-spy"
RAW = FOLDER / "results" / "profile.raw"
RATE = 500


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description="Profile the check under load.")
    parser.add_argument("--group", default="windows", help="windows, buckets, one, denied or batch")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--top", type=int, default=40)
    given = parser.parse_args()
    install()
    asyncio.run(_record(given.group, given.connections, given.seconds))
    sys.stdout.write(f"{table(RAW.read_text(), given.top)}\n")
    return 0


async def _record(group: str, connections: int, seconds: float) -> None:
    RAW.parent.mkdir(exist_ok=True)
    with own_folder() as folder:
        async with open_world(folder) as world:
            with Processes(folder) as processes:
                portal = await start_portal(world, processes, "check", CHECKOUT)
                path = "/check/batch" if group == "batch" else "/check"
                load = Load(f"{portal.url}{path}", world.bodies[group], world.token, connections)
                await run_wrk(load, 1)
                await asyncio.gather(run_wrk(load, seconds + 1), _spy(portal.group.pid, seconds))


async def _spy(pid: int, seconds: float) -> None:
    options = ["--duration", str(int(seconds)), "--rate", str(RATE), "--format", "raw", "--nonblocking"]
    if os.environ.get("BENCH_NATIVE"):
        options = [option for option in options if option != "--nonblocking"] + ["--native"]
    spy = await asyncio.create_subprocess_exec(
        str(PY_SPY), "record", "--pid", str(pid), *options, "-o", str(RAW), stdout=asyncio.subprocess.DEVNULL
    )
    await spy.wait()


def table(raw: str, top: int) -> str:
    """Markdown: a row a function, the most expensive alone first."""
    alone: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for frames, count in _stacks(raw):
        alone[frames[-1]] += count
        whole.update(dict.fromkeys(set(frames), count))
    total = alone.total() or 1
    rows = ["| self | total | function |", "|---|---|---|"]
    rows += [f"| {count / total:.1%} | {whole[name] / total:.1%} | {name} |" for name, count in alone.most_common(top)]
    return "\n".join(rows)


def _stacks(raw: str) -> Iterator[tuple[list[str], int]]:
    """(functions from the outermost in, samples) of the thread that serves."""
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [_function(frame) for frame in stack.split(";")]
        if not any("journal.py" in frame and "_sync_until_closed" in frame for frame in frames):
            yield frames, int(count)


def _function(frame: str) -> str:
    """`name (folder/file.py)`, without the line, so that a function is one row."""
    name, _, place = frame.partition(" (")
    file = place.rstrip(")").partition(":")[0]
    return f"{name} ({'/'.join(Path(file).parts[-2:])})" if file else name


if __name__ == "__main__":
    sys.exit(main())
