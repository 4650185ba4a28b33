"""kill -9 of everything on the way of usage, over and over, under load: nothing is lost, nothing counted twice.

A month is billed in the middle of it, although it is not over, and the next one at the end: what comes in between is
late. Both invoices together have to bill what the raw events add up to.
"""

import asyncio
from pathlib import Path
from random import Random

from portal.usage import count_quarantined
from tests.faults.tools.client_process import Plan
from tests.faults.tools.processes import Swarm
from tests.faults.tools.report import Report, sized
from tests.faults.tools.usage_place import all_in_a_while, open_usage_place

ROUNDS = sized(1, 50)
FEEDERS = 2
RATE = sized(300, 1_200)
MIN_EVENTS = sized(3_000, 1_000_000)
FED_EACH = MIN_EVENTS // (FEEDERS + ROUNDS)
"""By a feeder before it is killed or idles: a slow machine is not given more to count."""
LIMIT = (5_000, 1000)


async def test_no_answered_check_is_lost_or_counted_twice(tmp_path: Path, report: Report) -> None:
    draw = Random(19)  # noqa: S311 no secret

    async with open_usage_place(tmp_path) as world:
        customer = await world.place.customer(LIMIT)
        secret = await world.place.make_key(customer)
        plan = Plan(world.served.url, world.served.token, [secret], str(tmp_path / "swarm"), processes=2)
        for _ in range(FEEDERS):
            world.start_feeder(RATE, FED_EACH)
        async with Swarm(world.served, plan) as swarm:
            for number in range(ROUNDS):
                if number == ROUNDS // 2:
                    await world.place.bill(customer)
                await all_in_a_while(
                    draw,
                    world.kill_server,
                    lambda: world.kill_feeder(RATE, FED_EACH),
                    lambda: world.kill_worker("shipping"),
                    lambda: world.kill_worker(draw.choice(("one", "two"))),
                    world.kill_broker,
                    world.kill_postgres,
                    world.kill_redis,
                )
                await asyncio.sleep(draw.random() * sized(1, 4))
            world.start_feeder(RATE, MIN_EVENTS)
            async with world.served.a_client_each():
                pass
            await world.await_fed(MIN_EVENTS)
        noted = await world.stop_feeding()
        answered = [one.request_id for one in swarm.notes if one.status == 200]
        counted = await world.await_counted(noted)
        found = await world.place.await_stored(answered)
        dead = await world.await_quiet()
        await world.place.bill(customer)
        billed = await world.place.billed(customer)
        calls = 0
        for account in (*(note.account_id for note in noted), customer.actor.account_id):
            calls += (await world.place.ledgers(account)).calls
        async with world.place.parts.database.transaction() as tx:
            quarantined = await count_quarantined(tx)
    sure = sum(note.records for note in noted) + len(answered)
    report.tell(
        "usage, kill -9",
        f"{', '.join(f'{count} of {name}' for name, count in world.kills.items())}; {len(swarm.notes)} checks sent,"
        f" {len(answered)} answered, {sure} events journalled for sure, {calls} counted, 0 lost, 0 double, raw ="
        f" buckets = periods in {len(noted) + 1} accounts, = lines of the invoices in the one that is billed"
        f" ({billed.units} units, {billed.late} of them late); all that was fed counted {counted:.1f} s after the last,"
        f" every answer found in {found:.1f} s more",
    )
    assert (dead.dead, quarantined) == (0, 0)
    assert len(set(answered)) == len(answered)
    assert answered
    assert calls >= sure
    assert billed.units == billed.raw
    assert billed.late
