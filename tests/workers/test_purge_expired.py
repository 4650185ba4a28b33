"""What has ended is deleted while the worker runs; a database that refuses does not end the worker."""

import asyncio

from sqlalchemy import text

from portal import accounts
from portal.accounts.sessions.sign_in import Credentials, open_session
from portal.core.actor import Actor
from portal.core.database import Database
from workers import purge_expired as purge_expired


async def test_it_deletes_until_stopped(database: Database, owner: Actor) -> None:
    async with database.transaction() as tx:
        person = await accounts.find_person(tx, owner.id)
        assert person is not None
        session = (await open_session(tx, person, Credentials(person.email, ""))).session
        await tx.execute(text("UPDATE sessions SET expires_at = now() WHERE id = :id"), {"id": session.id})
    stop = asyncio.Event()
    running = asyncio.create_task(purge_expired.run(database, stop))
    count = text("SELECT count(*) FROM sessions WHERE id = :id")
    left = 1
    while left:
        async with database.transaction() as tx:
            left = await tx.get(count, {"id": session.id}, returns=int)
    stop.set()
    await running


async def test_it_outlives_a_database_that_is_away() -> None:
    away = Database("postgresql+asyncpg://nobody@127.0.0.1:9/none")
    stop = asyncio.Event()
    running = asyncio.create_task(purge_expired.run(away, stop))
    await asyncio.sleep(0.3)
    assert not running.done()
    stop.set()
    await running
    await away.close()
