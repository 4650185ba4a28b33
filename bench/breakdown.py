"""Where a check's CPU time goes, by process, and how many checks travel together. `python -m bench.breakdown`.

One measurement of each process. Whether a change made the server cheaper is a question for `python -m bench.cost`.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from redis.asyncio import Redis

from bench.contenders import CHECKOUT, start_portal
from bench.cpu import Group, Usage
from bench.folders import own_folder
from bench.install import install
from bench.processes import Processes
from bench.world import BATCH, World, open_world
from bench.wrk import Load, run_wrk


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.breakdown", description="CPU time of a check by process.")
    parser.add_argument("--group", nargs="+", default=["windows"], help="windows, buckets, one, denied or batch")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--against", type=Path, default=None, help="another checkout, measured after ours")
    given = parser.parse_args()
    install()
    against = given.against.resolve() if given.against else None
    asyncio.run(_measure(given.group, given.connections, given.seconds, against))
    return 0


async def _measure(groups: list[str], connections: int, seconds: float, against: Path | None) -> None:
    checkouts = [CHECKOUT] if against is None else [CHECKOUT, against]
    with own_folder() as folder:
        async with open_world(folder) as world:
            with Processes(folder) as processes:
                for checkout in checkouts:
                    portal = await start_portal(world, processes, f"check-{checkout.name}", checkout)
                    for group in groups:
                        path = "/check/batch" if group == "batch" else "/check"
                        load = Load(f"{portal.url}{path}", world.bodies[group], world.token, connections)
                        await run_wrk(load, 1)
                        sys.stdout.write(f"\n## {checkout.name}: {group}, {connections} connections\n")
                        await _tell(world, load, portal.group, seconds)


async def _tell(world: World, load: Load, server: Group, seconds: float) -> None:
    async with Redis.from_url(world.redis_url, decode_responses=True) as redis:
        valkey = int((await redis.info("server"))["process_id"])
        await redis.config_resetstat()
        before = server.usage(), Usage.of(valkey), Usage.of_children()
        result = await run_wrk(load, seconds)
        after = server.usage(), Usage.of(valkey), Usage.of_children()
        script = (await redis.info("commandstats"))["cmdstat_evalsha"]
    checks = result.requests * (BATCH if load.url.endswith("/batch") else 1)
    rows = ["| CPU µs a check | all | user | system |", "|---|---|---|---|"]
    for name, now, then in zip(("server", "Valkey", "wrk"), after, before, strict=True):
        user, system = (now.user - then.user) / checks * 1e6, (now.system - then.system) / checks * 1e6
        rows.append(f"| {name} | {user + system:6.1f} | {user:6.1f} | {system:6.1f} |")
    rate = checks / result.duration_us * 1e6
    together, script_us = checks / script["calls"], script["usec"] / checks
    rows.append(f"\n{rate:,.0f} checks/s; {together:.1f} a script call, {script_us:.1f} µs of it a check")
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    sys.exit(main())
