"""PostgreSQL away, hanging or read-only as a worker sees it: it says so, its lag grows, and all is counted after."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from time import monotonic

import asyncpg
import httpx2
import pytest
from sqlalchemy.engine import make_url

from portal.core.embedded.folder import free_port
from tests.faults.conftest import serve
from tests.faults.test_metrics import scrape
from tests.faults.tools.asked import Asked
from tests.faults.tools.moody_postgres import MoodyPostgres
from tests.faults.tools.place import Place
from tests.faults.tools.processes import Served
from tests.faults.tools.report import IS_LONG, Report

LAG = "portal_ingest_lag_seconds"
PATIENCE_SECONDS = 40.0
MIN_LAG_SECONDS = 4.0
CHECKS = 20
MAX_LOG_BYTES = 20_000
READ_ONLY = "read-only"
MOODS = ["57P03", "53300", "28P01", "hang", READ_ONLY] if IS_LONG else [READ_ONLY]
UNKNOWN_WITHOUT_IT = ("portal_quarantine_entries", "portal_invoices_overdue", "portal_outbox_events")


@dataclass
class Working:
    """A worker that reaches PostgreSQL through a proxy only; the servers reach it as ever."""

    served: Served
    postgres: MoodyPostgres
    port: int

    async def metrics(self) -> dict[str, float]:
        return await scrape(f"http://127.0.0.1:{self.port}")

    async def until(self, is_so: Callable[[dict[str, float]], bool]) -> dict[str, float]:
        until = monotonic() + PATIENCE_SECONDS
        while not is_so(found := await self.metrics()):
            assert monotonic() < until, {name: value for name, value in found.items() if "_bucket" not in name}
            await asyncio.sleep(0.1)
        return found

    async def readiness(self) -> httpx2.Response:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.port}") as http:
            return await http.get("/readyz")


@pytest.fixture(scope="module")
async def working(place: Place, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Working]:
    url = make_url(place.services.database_url)
    port = free_port()
    async with MoodyPostgres(int(url.port or 0)) as postgres:
        behind = url.set(host="127.0.0.1", port=postgres.port).render_as_string(hide_password=False)
        folder = tmp_path_factory.mktemp("worker-moods")
        async with serve(place, folder, has_worker=False, only="check", PORTAL_CHECK_DEADLINE_MS="1000") as served:
            served.settings |= {"PORTAL_DATABASE_URL": behind, "PORTAL_WORKER_PORT": str(port)}
            served.start_worker()
            yield Working(served, postgres, port)
            postgres.become(None)


@pytest.mark.parametrize("mood", MOODS)
async def test_the_lag_grows_and_the_worker_says_why(place: Place, working: Working, report: Report, mood: str) -> None:
    customer = await place.customer((1_000_000, 60_000))
    secret = await place.make_key(customer)
    asked = Asked()
    async with working.served.a_client_each() as clients:
        await asked.ask(clients[0], secret)
        await place.await_stored(asked.ids())
        await working.until(lambda found: found[LAG] == 0 and not math.isnan(found["portal_quarantine_entries"]))
        assert (await working.readiness()).status_code == 200
        before = len(working.served.log("worker"))
        await _begin(place, working, mood)
        try:
            for client in clients * CHECKS:
                assert (await asked.ask(client, secret)).document["valid"]
            first = await working.until(lambda found: found[LAG] > 0)
            later = await working.until(lambda found: found[LAG] > max(first[LAG], MIN_LAG_SECONDS))
            told = await working.readiness()
            if mood != READ_ONLY:
                await working.until(lambda found: found['portal_watch_up{source="database"}'] == 0)
                unknown = await working.metrics()
                assert all(math.isnan(unknown[name]) for name in UNKNOWN_WITHOUT_IT)
        finally:
            await _end(place, working, mood)
        assert (told.status_code, told.json()["parts"]["postgresql"]) == (503, False)
        assert ("is read-only" if mood == READ_ONLY else "does not answer") in told.json()["reasons"]["postgresql"]
        await place.await_stored(asked.ids())
        await working.until(lambda found: found[LAG] == 0)
        await working.until(lambda found: found['portal_watch_up{source="database"}'] == 1)
    log = working.served.log("worker")[before:]
    report.tell(f"a worker and PostgreSQL {mood}", f"lag {later[LAG]:.1f} s, then 0; {len(log)} bytes of log")
    assert len(log) < MAX_LOG_BYTES
    assert "Traceback" not in log
    assert (await place.ledgers(customer.actor.account_id)).calls == len(asked.answers)


async def _begin(place: Place, working: Working, mood: str) -> None:
    if mood == READ_ONLY:
        await _as_owner(place, "ALTER DATABASE {name} SET default_transaction_read_only = on")
        working.postgres.cut()
    else:
        working.postgres.become(mood)


async def _end(place: Place, working: Working, mood: str) -> None:
    if mood == READ_ONLY:
        await _as_owner(place, "ALTER DATABASE {name} RESET default_transaction_read_only")
    working.postgres.become(None)


async def _as_owner(place: Place, statement: str) -> None:
    """It holds for connections that begin afterwards."""
    connection = await asyncpg.connect(place.parts.database.dsn)
    try:
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute(statement.format(name=make_url(place.services.database_url).database))
    finally:
        await connection.close()
