"""/metrics of `serve --workers 2`: every scrape tells of both processes, whichever answers, and counters only grow."""

import asyncio
import os
import re
import signal
import socket
from pathlib import Path

import httpx2
import pytest

from portal.core.embedded.folder import free_port
from tests.documented_metrics import find_undocumented
from tests.faults.conftest import serve
from tests.faults.tools.place import Place
from tests.faults.tools.report import Report, sized

SCRAPES = 12
EACH = 25
END_SECONDS = 15.0
VALID = 'portal_checks_total{code="VALID"}'


async def scrape(url: str, accept: str = "text/plain") -> dict[str, float]:
    """Each time on a connection of its own, so that any process may answer."""
    async with httpx2.AsyncClient(timeout=10) as http:
        text = (await http.get(f"{url}/metrics", headers={"Accept": accept})).text
    assert find_undocumented(text) == []
    return {name: float(value) for name, value in re.findall(r"^([a-z]\S*(?:\{.*\})?) (\S+)$", text, re.MULTILINE)}


async def test_every_scrape_tells_of_all_processes(place: Place, report: Report, tmp_path: Path) -> None:
    key = await place.make_key(await place.customer((1_000_000, 60_000)))
    async with serve(place, tmp_path, PORTAL_CHECK_DEADLINE_MS="1000") as served:
        async with served.a_client_each() as clients:
            for client in clients:
                for _ in range(EACH):
                    assert (await client.check({"key": key})).document["valid"]
            found = [await scrape(served.url) for _ in range(SCRAPES)]
        assert {one[VALID] for one in found} == {2 * EACH}
        assert {one["portal_processes"] for one in found} == {2}
        assert {one['portal_check_requests_total{route="/check",status="200"}'] for one in found} == {
            one['portal_check_seconds_count{route="/check"}'] for one in found
        }
        assert {one["portal_check_requests_in_flight"] for one in found} == {0}
        cached = {one['portal_policy_cache_entries{kind="known"}'] for one in found}
        assert cached == {2}
        served.kill_children([served.children()[0]])
        async with served.a_client_each() as clients:
            for client in clients:
                await client.check({"key": key})
            after = [await scrape(served.url) for _ in range(SCRAPES)]
        assert {one[VALID] for one in after} == {2 * EACH + 2}
        report.tell("metrics of two processes", f"{SCRAPES} scrapes alike; {2 * EACH + 2} after a kill -9 of one")


async def test_metrics_have_a_port_of_their_own(place: Place, tmp_path: Path) -> None:
    """One process and two; and it answers while the event loop stands still."""
    key = await place.make_key(await place.customer((1_000_000, 60_000)))
    for servers in (1, 2):
        port = free_port()
        folder = tmp_path / str(servers)
        folder.mkdir()
        async with serve(place, folder, servers=servers, has_worker=False, PORTAL_METRICS_PORT=str(port)) as served:
            async with served.a_client_each() as clients:
                for client in clients:
                    await client.check({"key": key})
            assert (await scrape(f"http://127.0.0.1:{port}"))[VALID] == servers
            async with httpx2.AsyncClient() as http:
                assert (await http.get(f"{served.url}/metrics")).status_code == 404
                assert (await http.get(f"http://127.0.0.1:{port}/livez")).status_code == 404
                text = await http.get(f"http://127.0.0.1:{port}/metrics")
                assert text.headers["Content-Type"].startswith("application/openmetrics-text")
            if servers == 2:
                child = served.children()[0]
                os.kill(child, signal.SIGSTOP)
                try:
                    stopped = await scrape(f"http://127.0.0.1:{port}")
                finally:
                    os.kill(child, signal.SIGCONT)
                assert (stopped[VALID], stopped["portal_processes"]) == (2, 1)


@pytest.mark.parametrize("servers", sized([4], [2, 4]))
async def test_children_end_with_their_parent(place: Place, tmp_path: Path, servers: int) -> None:
    async with serve(place, tmp_path, servers=servers, has_worker=False) as served:
        children = served.children()
        assert len(children) == servers
        assert served.server is not None
        served.server.kill()
        served.server.wait()
        async with asyncio.timeout(END_SECONDS):
            while any(_is_running(pid) for pid in children):  # noqa: ASYNC110 they tell nobody
                await asyncio.sleep(0.1)
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", served.port))


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
