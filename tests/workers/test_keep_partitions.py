"""Partitions are there three months ahead, and a database that is away is waited for."""

import asyncio

import pytest
from structlog.testing import capture_logs

from portal.core.clock import utc_now
from portal.core.concurrency.worker_loop import Backoff
from portal.core.database import Database
from portal.usage import Retention, ensure_partitions
from workers import keep_partitions


async def test_it_creates_them_and_tries_again_after_a_failure(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, calls = asyncio.Event(), 0

    async def fail_first(known: Database, around: object, retention: Retention) -> list[str]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionError("PostgreSQL is away")
        stop.set()
        return await ensure_partitions(known, utc_now())

    monkeypatch.setattr(keep_partitions, "ensure_partitions", fail_first)
    with capture_logs() as logs:
        async with asyncio.timeout(20):
            await keep_partitions.run(database, Retention(), stop)
    assert (logs[0]["event"], logs[0]["worker"]) == ("worker_retrying", "keep_partitions")
    assert calls == 2
    assert await ensure_partitions(database, utc_now()) == []


def test_waiting_doubles_to_five_seconds_and_starts_anew() -> None:
    backoff = Backoff()
    waits = [backoff.next_seconds() for _ in range(30)]
    assert waits[:6] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2]
    assert set(waits[6:]) == {5.0}
    backoff.reset()
    assert backoff.next_seconds() == 0.1
