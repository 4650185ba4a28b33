"""kill -9 of servers and worker amid traffic: every answer is counted once, and every place adds up to the same."""

import asyncio
from collections import Counter
from pathlib import Path
from random import Random

from tests.faults.tools.client_process import Plan
from tests.faults.tools.oracle import node_of
from tests.faults.tools.place import Place
from tests.faults.tools.processes import STOP_SECONDS, Served, Swarm
from tests.faults.tools.report import Report, sized

ROUNDS = sized(1, 15)
LIMIT = (500, 1000)
"""Low enough that denials are among the answers, which are counted as well."""


async def test_every_answer_is_counted_once_whoever_is_killed(
    place: Place, portal: Served, report: Report, tmp_path: Path
) -> None:
    customer = await place.customer(LIMIT)
    secret = await place.make_key(customer)
    draw = Random(11)  # noqa: S311 no secret
    plan = Plan(portal.url, place.service_token, [secret], str(tmp_path / "swarm"), processes=2, connections=4)
    async with Swarm(portal, plan) as swarm:
        for number in range(ROUNDS):
            await asyncio.sleep(0.3 + draw.random())
            await _kill_worker(portal)
            await asyncio.sleep(draw.random() / 2)
            portal.start_worker()
            await KILLS[number % len(KILLS)](portal)
        await asyncio.sleep(0.5)
    answered = [noted.request_id for noted in swarm.notes if noted.status == 200]
    seconds = await place.await_stored(answered)
    ledgers = await place.ledgers(customer.actor.account_id)
    codes = Counter(noted.code for noted in swarm.notes)
    nodes = {node_of(request_id) for request_id in answered}
    report.tell(
        "kill -9",
        f"{ROUNDS} of servers and of the worker: {len(swarm.notes)} sent, answered {dict(codes)} by {len(nodes)}"
        f" processes, {ledgers.calls} counted; all there {seconds:.1f} s after the last",
    )
    assert {noted.status for noted in swarm.notes} <= {0, 200}
    assert len(set(answered)) == len(answered)
    assert len(nodes) > 1
    assert codes["-"] > 0
    assert codes["VALID"] > 0
    assert len(answered) <= ledgers.calls <= len(swarm.notes)
    assert ledgers.units == ledgers.calls


async def _kill_worker(portal: Served) -> None:
    assert portal.worker is not None
    portal.worker.kill()
    await asyncio.to_thread(portal.worker.wait, STOP_SECONDS)


async def _kill_children(portal: Served) -> None:
    """All at once, so that every connection breaks; their supervisor starts others."""
    portal.kill_children(portal.children())
    async with portal.a_client_each():
        pass


async def _kill_one(portal: Served) -> None:
    portal.kill_children(portal.children()[:1])
    async with portal.a_client_each():
        pass


async def _kill_all(portal: Served) -> None:
    await asyncio.to_thread(portal.kill_servers)
    await portal.start_server()


KILLS = (_kill_children, _kill_one, _kill_all)
