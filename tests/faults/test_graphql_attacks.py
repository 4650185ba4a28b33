"""Hostile documents at a portal process do not reach the checks of a check process.

`--only portal` answers every hostile document of tests/web/attacks, over and over, while `--only check` is asked. Both
have the same database and Redis. Where the machine has two processors the attacked side is kept on the first, so that
what is measured is the product and not who gets the processor.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from tests.cli.demo_portal import PROJECT, portal_environment
from tests.faults.conftest import serve
from tests.faults.tools.client_process import Noted, Plan
from tests.faults.tools.graphql_attacker import Attack
from tests.faults.tools.place import Place
from tests.faults.tools.processes import START_SECONDS, STOP_SECONDS, Served, Swarm
from tests.faults.tools.report import Report, sized

SECONDS = sized(2, 20)
CONNECTIONS = 4
PROCESSORS = sorted(os.sched_getaffinity(0))
ATTACKED, OTHERS = {PROCESSORS[0]}, {*PROCESSORS[1:]} or {*PROCESSORS}


async def test_checks_do_not_feel_an_attack_on_the_portal(place: Place, report: Report, tmp_path: Path) -> None:
    customer = await place.customer((1_000_000, 60_000))
    key = await place.make_key(customer)
    async with AsyncExitStack() as stack:
        with on_processors(OTHERS):
            check = await stack.enter_async_context(serve_only("check", place, tmp_path))
        with on_processors(ATTACKED):
            portal = await stack.enter_async_context(serve_only("portal", place, tmp_path))
        before = await measured(check, key, tmp_path / "before")
        async with attacking(Attack(portal.url, customer.token, CONNECTIONS)) as attacked:
            during = await measured(check, key, tmp_path / "during")
        after = await measured(check, key, tmp_path / "after")
    report.tell("checks before an attack on the portal", told(before))
    report.tell("checks during it", told(during))
    report.tell("checks after it", told(after))
    report.tell("hostile documents", f"{told(attacked['times_ms'])}, {CONNECTIONS} at once: {attacked['statuses']}")
    assert attacked["times_ms"]
    assert [status for status in attacked["statuses"] if int(status) >= 500] == []


def serve_only(kind: str, place: Place, folder: Path) -> AbstractAsyncContextManager[Served]:
    own = folder / kind
    own.mkdir()
    return serve(place, own, servers=1, has_worker=kind == "check", only=kind)


async def measured(served: Served, key: str, folder: Path) -> list[float]:
    """Milliseconds of each check of one connection, of which none failed."""
    plan = Plan(served.url, served.token, [key], str(folder), connections=1)
    with on_processors(OTHERS):
        swarm = Swarm(served, plan)
        async with swarm:
            await asyncio.sleep(SECONDS)
    assert {(noted.status, noted.code) for noted in swarm.notes} == {(200, "VALID")}
    return [_ms(noted) for noted in swarm.notes]


def _ms(noted: Noted) -> float:
    return (noted.heard_ns - noted.sent_ns) / 1_000_000


@asynccontextmanager
async def attacking(attack: Attack) -> AsyncIterator[dict[str, Any]]:
    """Inside it goes on; afterwards the dictionary holds what the attackers saw."""
    seen: dict[str, Any] = {}
    with on_processors(ATTACKED):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.tools.graphql_attacker", attack.to_json()),
            cwd=PROJECT,
            env=portal_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=2**26,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    async with asyncio.timeout(START_SECONDS):
        for _ in range(attack.connections):
            assert await process.stdout.readline() == b"ready\n"
    yield seen
    process.stdin.close()
    async with asyncio.timeout(STOP_SECONDS):
        out, _ = await process.communicate()
    seen |= json.loads(out)


@contextmanager
def on_processors(processors: Collection[int]) -> Iterator[None]:
    """What is started inside runs on these."""
    known = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, known)


def told(times_ms: list[float]) -> str:
    ordered = sorted(times_ms)
    p50, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
    return f"{len(ordered)}, p50 {p50:.2f} ms, p99 {p99:.2f} ms, most {ordered[-1]:.2f} ms"
