"""PostgreSQL that refuses, hangs or is read-only, seen by real processes: known keys verify, the log stays short."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import asyncpg
import httpx2
import pytest
from sqlalchemy.engine import make_url

from tests.faults.conftest import serve
from tests.faults.tools.asked import Asked
from tests.faults.tools.moody_postgres import MoodyPostgres
from tests.faults.tools.place import Place
from tests.faults.tools.processes import Served
from tests.faults.tools.report import Report, sized

MOOD_SECONDS = sized(7, 60)
"""Longer than a service token is remembered."""
MAX_LOG_BYTES = 20_000
BEHIND_A_PROXY = ["53300", "28P01", "57P03", "XX000", "hang"]
READ_ONLY = "ALTER DATABASE {name} SET default_transaction_read_only = on"
WRITABLE = "ALTER DATABASE {name} RESET default_transaction_read_only"
END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = '{name}'"
)


@asynccontextmanager
async def behind_a_proxy(
    place: Place, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[MoodyPostgres, Served]]:
    url = make_url(place.services.database_url)
    async with MoodyPostgres(int(url.port or 0)) as postgres:
        behind = url.set(host="127.0.0.1", port=postgres.port).render_as_string(hide_password=False)
        folder = tmp_path_factory.mktemp("moody")
        async with serve(
            place,
            folder,
            has_worker=False,
            only="check",
            PORTAL_CHECK_DEADLINE_MS="1000",
            PORTAL_DATABASE_URL=behind,
        ) as served:
            yield postgres, served
            postgres.become(None)


async def test_known_keys_verify_whatever_postgresql_says_and_a_new_node_joins_in(
    place: Place, report: Report, tmp_path_factory: pytest.TempPathFactory
) -> None:
    customer = await place.customer((1_000_000, 60_000))
    secret = await place.make_key(customer)
    async with behind_a_proxy(place, tmp_path_factory) as (postgres, served), served.a_client_each() as clients:
        for client in clients:
            assert (await client.check({"key": secret})).document["valid"]
        for mood in BEHIND_A_PROXY:
            before = len(served.log("serve"))
            postgres.become(mood)
            asked = Asked()
            until = monotonic() + MOOD_SECONDS
            while monotonic() < until:
                for client in clients:
                    await asked.ask(client, secret)
                await asyncio.sleep(0.01)
            said = served.log("serve")[before:]
            report.tell(f"PostgreSQL {mood}", f"{asked.told()}, {len(said)} bytes of log")
            assert Counter((a.status, a.document.get("code")) for a in asked.answers).keys() == {(200, "VALID")}
            assert len(said) < MAX_LOG_BYTES
            assert "never retrieved" not in said
            assert "Traceback" not in said
            assert await _readiness(served) == 200
        await _a_node_that_starts_now(place, postgres, secret, tmp_path_factory)


async def _a_node_that_starts_now(
    place: Place, postgres: MoodyPostgres, secret: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It is ready, and answers for keys that the others know, hours after Redis would have forgotten them."""
    postgres.become("57P03")
    await asyncio.sleep(6)
    url = make_url(place.services.database_url).set(host="127.0.0.1", port=postgres.port)
    behind = url.render_as_string(hide_password=False)
    shard = place.parts.limiter.shard_of("")
    for name in await shard.connection.call("KEYS", "policy:*"):
        await shard.connection.call("DEL", name)
    folder = tmp_path_factory.mktemp("late")
    async with serve(
        place,
        folder,
        has_worker=False,
        servers=1,
        only="check",
        PORTAL_CHECK_DEADLINE_MS="1000",
        PORTAL_DATABASE_URL=behind,
    ) as late:
        async with late.a_client_each() as clients:
            answer = await clients[0].check({"key": secret})
            assert (answer.status, answer.document.get("code")) == (200, "VALID"), answer
        assert await _readiness(late) == 200


async def test_a_read_only_server_takes_no_check_out(place: Place, portal: Served) -> None:
    """As a full managed disk and a standby are: reads go on, and nothing can be counted or changed for a while."""
    customer = await place.customer((1_000_000, 60_000))
    warm, cold = await place.make_key(customer), await place.make_key(customer)
    asked = Asked()
    async with portal.a_client_each() as clients:
        await asked.ask(clients[0], warm)
        await _as_owner(place, READ_ONLY)
        try:
            for client in clients * 20:
                await asked.ask(client, warm)
                await asked.ask(client, cold)
                await asyncio.sleep(0.1)
        finally:
            await _as_owner(place, WRITABLE)
    assert {(a.status, a.document.get("code")) for a in asked.answers} == {(200, "VALID")}
    await place.await_stored(asked.ids())


async def _as_owner(place: Place, statement: str) -> None:
    """Run it, and end everybody's connection so that it holds for all."""
    connection = await asyncpg.connect(place.parts.database.dsn)
    try:
        name = make_url(place.services.database_url).database
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute(statement.format(name=name))
        await connection.execute(END_OTHERS.format(name=name))
    finally:
        await connection.close()


async def _readiness(served: Served) -> int:
    async with httpx2.AsyncClient(base_url=served.url) as client:
        return (await client.get("/readyz/check")).status_code
