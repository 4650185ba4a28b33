"""An override holds from the moment it is answered, in every process, and ends by itself."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from portal import audit, keys
from portal.check import Code
from portal.core.actor import Actor
from portal.core.database import Database
from tests.check.conftest import MakeKey, Process
from tests.check.test_checker import ask
from tests.limits.sentinels import until
from workers import end_overrides


@pytest.fixture
async def staff(owner: Actor) -> Actor:
    return replace(owner, id="person_staff", role=None, is_staff=True)


async def override(process: Process, staff: Actor, key: keys.Key, **fields: Any) -> None:
    given: dict[str, Any] = {"name": "burst", "amount": 3, "window_ms": 60_000, "reason": "abuse"} | fields
    new = keys.NewOverride(**given)
    async with process.database.transaction(staff.account_id) as tx:
        await keys.override_key_limit(tx, staff, key.id, new)


async def test_it_loosens_and_tightens_at_once(process: Process, make_key: MakeKey, owner: Actor, staff: Actor) -> None:
    made = await make_key(owner)
    assert (await ask(process, made.secret)).limits[0].limit == 10
    await override(process, staff, made.key)
    answers = [await ask(process, made.secret) for _ in range(3)]
    assert [answer.code for answer in answers] == [Code.VALID, Code.VALID, Code.RATE_LIMITED]
    assert (answers[-1].limits[0].name, answers[-1].limits[0].limit) == ("burst", 3)
    await override(process, staff, made.key, amount=1000)
    await asyncio.sleep(1)  # a denial is remembered for as long
    answers = [await ask(process, made.secret) for _ in range(20)]
    assert {answer.code for answer in answers} == {Code.VALID}


async def test_another_key_of_the_account_keeps_the_plans(
    process: Process, make_key: MakeKey, owner: Actor, staff: Actor
) -> None:
    first, second = await make_key(owner), await make_key(owner)
    await override(process, staff, first.key)
    assert (await ask(process, second.secret)).limits[0].limit == 10


async def test_the_plans_limit_is_back_once_the_time_is_over(
    process: Process, make_key: MakeKey, owner: Actor, staff: Actor
) -> None:
    made = await make_key(owner)
    async with process.database.transaction() as tx:
        soon = tx.now + timedelta(seconds=1)
    await override(process, staff, made.key, expires_at=soon)
    await override(process, staff, made.key, name="sustained", amount=77)
    assert {limit.limit for limit in (await ask(process, made.secret)).limits} == {3, 77}
    stop = asyncio.Event()
    working = [asyncio.create_task(end_overrides.run(process.database, stop)) for _ in range(2)]

    async def is_back() -> bool:
        return {limit.limit for limit in (await ask(process, made.secret, cost=0)).limits} == {10, 77}

    await until(is_back, "the override does not end")
    stop.set()
    await asyncio.gather(*working)
    async with process.database.transaction(owner.account_id) as tx:
        events = await audit.list_audit_events(tx, owner.account_id)
        key = await keys.get_key(tx, owner.account_id, made.key.id)
    ended = [event for event in events if event.action == "key.end_override"]
    assert [(event.actor_kind, event.details) for event in ended] == [("system", {"names": ["burst"]})]
    assert [entry["name"] for entry in key.overrides] == ["sustained"]
    assert key.overrides_end_at is None


async def test_ending_waits_for_a_database_that_is_away(process: Process, make_key: MakeKey, owner: Actor) -> None:
    away, stop = Database("postgresql+asyncpg://portal:x@127.0.0.1:9/portal"), asyncio.Event()
    working = asyncio.create_task(end_overrides.run(away, stop))
    await asyncio.sleep(0.3)
    assert not working.done()
    stop.set()
    await working
    await away.close()
