"""`portal worker`: what it tells of itself on its port, and that it ends in order."""

import asyncio
import signal
import socket
import subprocess
from pathlib import Path

import httpx2

from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.embedded.folder import free_port
from portal.usage import Journal
from tests.broker.find import private_broker
from tests.cli.demo_portal import PORTAL, PROJECT, STOP_SECONDS, portal_environment, run_portal
from tests.documented_metrics import find_undocumented
from tests.usage.sample import new_account, records
from tests.usage.truth import raw_totals

TIMEOUT_SECONDS = 60


def launch(settings: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [*PORTAL, "worker", "ship_journal", "ingest_usage"]
    return subprocess.Popen(command, cwd=PROJECT, env=portal_environment() | settings)


async def counted(database: Database, account: str, events: int) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while await raw_totals(database, account) != (events, events):  # noqa: ASYNC110 the worker tells nobody
            await asyncio.sleep(0.1)


async def get(port: int, path: str) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        return await client.get(path)


async def becomes(port: int, status: int) -> httpx2.Response:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            try:
                answer = await get(port, "/readyz")
            except httpx2.TransportError:
                await asyncio.sleep(0.1)
                continue
            if answer.status_code == status:
                return answer
            await asyncio.sleep(0.1)


async def test_a_worker_is_ready_while_its_dependencies_are_and_reports_its_lag(
    services: EmbeddedServices, database: Database, tmp_path: Path
) -> None:
    account, port = new_account(), free_port()
    async with private_broker(tmp_path / "broker") as broker:
        settings = {
            "PORTAL_DATABASE_URL": services.database_url,
            "PORTAL_REDIS_URLS": ",".join(services.redis_urls),
            "PORTAL_DATA": str(tmp_path),
            "PORTAL_AMQP_URL": broker.url,
            "PORTAL_WORKER_PORT": str(port),
        }
        worker = launch(settings)
        try:
            assert (await becomes(port, 200)).json()["parts"] == {"postgresql": True, "broker": True}
            journal = Journal(tmp_path / "journal", segment_bytes=10**6, sync_ms=20)
            journal.open()
            journal.append(records(500, account_id=account))
            journal.close()
            await counted(database, account, 500)
            text = (await get(port, "/metrics")).text
            assert find_undocumented(text) == []
            assert "portal_ingest_added_total 500.0" in text
            assert "portal_journal_shipped_total 500.0" in text
            for name in ("portal_ingest_lag_seconds", "portal_ingest_lag_events", "portal_messages_retried_total"):
                assert f"\n{name}" in text
            assert (await get(port, "/livez")).text == "ok\n"
            assert (await get(port, "/elsewhere")).status_code == 404
            await broker.kill()
            assert (await becomes(port, 503)).json()["parts"] == {"postgresql": True, "broker": False}
            await broker.start()
            await becomes(port, 200)
        finally:
            worker.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(worker.wait, STOP_SECONDS) == 0


async def test_an_unknown_worker_is_named_with_those_that_there_are(services: EmbeddedServices, tmp_path: Path) -> None:
    settings = {
        "PORTAL_DATABASE_URL": services.database_url,
        "PORTAL_REDIS_URLS": ",".join(services.redis_urls),
        "PORTAL_DATA": str(tmp_path),
    }
    code, _, err = await run_portal("worker", "ingest_usage", **settings)
    assert code == 1
    assert "no worker 'ingest_usage'" in err
    assert "ship_journal, relay_outbox" in err
    assert "keep_partitions" in err


async def test_a_port_in_use_says_which_setting_to_change(services: EmbeddedServices, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        settings = {
            "PORTAL_DATABASE_URL": services.database_url,
            "PORTAL_REDIS_URLS": ",".join(services.redis_urls),
            "PORTAL_DATA": str(tmp_path),
            "PORTAL_WORKER_PORT": str(taken.getsockname()[1]),
        }
        code, _, err = await run_portal("worker", **settings)
    assert code == 1
    assert "Give each worker process its own PORTAL_WORKER_PORT." in err
