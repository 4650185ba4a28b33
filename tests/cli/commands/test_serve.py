"""`portal serve` and `portal worker` say what they are once they are ready, and end in order."""

import asyncio
import json
import signal
import socket
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.redis.address import parse_shard
from tests.cli.demo_portal import PORTAL, PROJECT, START_SECONDS, STOP_SECONDS, portal_environment, run_portal


@pytest.fixture
def settings(services: EmbeddedServices, database: Database, tmp_path: Path) -> dict[str, str]:
    return {
        "PORTAL_DATABASE_URL": services.database_url,
        "PORTAL_REDIS_URLS": ",".join(services.redis_urls),
        "PORTAL_AMQP_URL": "amqp://ann:secret@127.0.0.1:1/",
        "PORTAL_DATA": str(tmp_path),
    }


@asynccontextmanager
async def running(*command: str, **settings: str) -> AsyncIterator[Process]:
    environment = portal_environment() | settings
    process = await asyncio.create_subprocess_exec(*PORTAL, *command, cwd=PROJECT, env=environment, stderr=PIPE)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    assert process.returncode == 0


async def lines(process: Process, event: str, count: int) -> list[dict[str, Any]]:
    assert process.stderr is not None
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(START_SECONDS):
        while len(found) < count:
            line = (await process.stderr.readline()).decode()
            assert line, "it ended"
            assert "secret" not in line
            if (told := json.loads(line))["event"] == event:
                found.append(told)
    return found


@pytest.mark.parametrize(("processes", "only"), [(1, None), (2, "check")])
async def test_each_process_that_serves_says_so_when_it_is_ready(
    services: EmbeddedServices, settings: dict[str, str], processes: int, only: str | None
) -> None:
    options = ("--port", "0", "--workers", str(processes), *(("--only", only) if only else ()))
    async with running("serve", *options, **settings) as process:
        told = await lines(process, "serving", processes)
        assert len({one["pid"] for one in told}) == processes
        url = told[0]["url"]
        async with httpx2.AsyncClient(base_url=url) as client:
            assert (await client.get("/livez")).text == "ok\n"
        for one in told:
            assert (one["url"], one["processes"], one["only"]) == (url, processes, only)
            assert one["redis"] == [parse_shard(shard).name for shard in services.redis_urls]
            assert (one["rabbitmq"], one["level"]) == ("127.0.0.1:1", "info")


@pytest.mark.parametrize("processes", [1, 2])
async def test_sigterm_says_not_ready_first_and_stops_later(settings: dict[str, str], processes: int) -> None:
    options = ("--port", "0", "--workers", str(processes))
    environment = portal_environment() | settings | {"PORTAL_DRAIN_SECONDS": "6"}
    process = await asyncio.create_subprocess_exec(
        *PORTAL, "serve", *options, cwd=PROJECT, env=environment, stderr=PIPE
    )
    try:
        url = (await lines(process, "serving", processes))[0]["url"]
        process.send_signal(signal.SIGTERM)
        assert [told["drain_seconds"] for told in await lines(process, "stopping", processes)] == [6] * processes
        async with httpx2.AsyncClient(base_url=url) as client:
            ready = await client.get("/readyz/check?verbose")
            assert (ready.status_code, ready.json()["parts"]["process"]) == (503, "stopping")
            assert (await client.get("/livez")).text == "ok\n"
            assert (await client.post("/check", content=b"{}")).status_code == 401
        assert len(await lines(process, "stopped", processes)) == processes
    finally:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)


async def test_a_worker_says_so(settings: dict[str, str]) -> None:
    async with running("worker", "end_overrides", **settings) as process:
        [told] = await lines(process, "workers_started", 1)
        assert (told["workers"], told["rabbitmq"]) == (["end_overrides", "watch_usage"], "127.0.0.1:1")


async def test_a_port_that_is_taken_is_one_line_with_what_to_do(settings: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, out, err = await run_portal("serve", "--port", port, **settings)
    assert (code, out) == (1, "")
    assert err == (
        f"portal: Cannot listen on 127.0.0.1:{port}: Address already in use. "
        "Choose another port with --port (0 picks a free one).\n"
    )
