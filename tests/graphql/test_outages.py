"""Who hears of changes says once that Redis is away, and once that it is back, however often it tried meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from portal.graphql.live import listener as key_changes
from portal.graphql.live.listener import Listener
from tests.limits.sentinels import Server, plain_servers

RETRY_SECONDS = 0.02
OUTAGE_SECONDS = 0.5


@asynccontextmanager
async def hearing(url: str) -> AsyncIterator[None]:
    listener = Listener(url, lambda _: None, lambda: None)
    listener.open()
    yield
    await listener.close()


async def told(logs: list[Any], count: int) -> None:
    async with asyncio.timeout(30):
        while len(logs) < count:  # noqa: ASYNC110 a log tells nobody
            await asyncio.sleep(0.01)


async def listeners(server: Server) -> None:
    """Until one is there."""
    async with server.client() as client, asyncio.timeout(30):
        while not await client.pubsub_channels():  # noqa: ASYNC110 the server tells nobody
            await asyncio.sleep(0.01)


async def test_an_outage_is_logged_as_it_begins_and_as_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_changes, "RETRY_SECONDS", RETRY_SECONDS)
    with capture_logs() as logs:
        async with plain_servers(tmp_path, 1) as [server], hearing(server.url):
            for outages in (1, 2):
                await listeners(server)
                server.stop()
                await told(logs, 2 * outages - 1)
                await asyncio.sleep(OUTAGE_SECONDS)
                await server.start()
                await told(logs, 2 * outages)
    assert [line["event"] for line in logs] == ["key_changes_not_heard", "key_changes_heard_again"] * 2
    assert {line["server"] for line in logs} == {server.name}
    assert all(line["after_seconds"] >= OUTAGE_SECONDS for line in logs[1::2])
