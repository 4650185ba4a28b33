"""The relay: every event in order, at least once, and none left behind."""

import asyncio
import json

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from portal.accounts import PolicyChanged
from portal.core.database import Database
from portal.core.messaging.bus import EVENTS, InProcessBus
from tests.usage.sample import new_account
from workers import relay_outbox


class Subscriber:
    def __init__(self, account: str, failures: int = 0) -> None:
        self.account = account
        self.failures = failures
        self.published: list[int] = []
        self.seen = asyncio.Event()
        self.bus = InProcessBus()
        self.bus.subscribe(EVENTS, self._publish)

    async def _publish(self, body: bytes) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("Redis is away")
        event = json.loads(body)
        if event["body"]["account_id"] == self.account:
            assert event["type"] == "PolicyChanged"
            self.published.append(event["body"]["version"])
            self.seen.set()


async def emit(database: Database, account: str, *versions: int) -> None:
    async with database.transaction(account) as tx:
        for version in versions:
            tx.emit(PolicyChanged(account_id=account, version=version))


async def waiting(database: Database) -> int:
    async with database.transaction() as tx:
        return await tx.get(text("SELECT count(*) FROM outbox"), returns=int)


@pytest.fixture
async def account(database: Database) -> str:
    """With an empty outbox: other tests leave events."""
    async with database.transaction() as tx:
        await tx.execute(text("DELETE FROM outbox"))
    return new_account()


@pytest.mark.fast
async def test_events_are_published_and_deleted(database: Database, account: str) -> None:
    await emit(database, account, 1, 2, 3)
    subscriber = Subscriber(account)
    assert await relay_outbox.relay_once(database, subscriber.bus) == 3
    assert subscriber.published == [1, 2, 3]
    assert await waiting(database) == 0


async def test_what_failed_is_kept_and_comes_again(database: Database, account: str) -> None:
    await emit(database, account, 1)
    subscriber = Subscriber(account, failures=2)
    stop = asyncio.Event()
    with capture_logs() as logs:
        running = asyncio.create_task(relay_outbox.run(database, subscriber.bus, stop))
        async with asyncio.timeout(10):
            await subscriber.seen.wait()
        stop.set()
        await running
    retries = [line["retry_seconds"] for line in logs if line["event"] == "worker_retrying"]
    assert retries == [0.1, 0.2]
    assert subscriber.published == [1]
    assert await waiting(database) == 0


async def test_two_relays_deliver_each_event_once(database: Database, account: str) -> None:
    await emit(database, account, *range(50))
    subscriber = Subscriber(account)
    await asyncio.gather(
        *(relay_outbox.relay_once(database, subscriber.bus) for _ in range(3)),
    )
    assert sorted(subscriber.published) == [*range(50)]
