"""A change during an outage of Redis is heard of from PostgreSQL."""

import asyncio

from portal import keys
from portal.check import Code
from portal.core.actor import Actor
from tests.check.conftest import MakeKey, Process
from tests.check.test_checker import ask


async def test_a_key_that_is_revoked_while_redis_is_away_is_refused_soon(
    process: Process, make_key: MakeKey, owner: Actor
) -> None:
    made = await make_key(owner)
    assert (await ask(process, made.secret)).valid
    await process.limiter.close()
    assert (await ask(process, made.secret)).degraded
    async with process.database.transaction(owner.account_id) as tx:
        await keys.revoke_key(tx, owner, made.key.id)
    for _ in range(50):
        answer = await ask(process, made.secret)
        if not answer.valid:
            break
        await asyncio.sleep(0.1)
    assert (answer.code, answer.degraded) == (Code.REVOKED, True)
