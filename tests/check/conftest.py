"""A checker with its own journal on the session's servers, and keys to check."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from portal import keys
from portal.check import Checker, PolicyCache, PolicyChanges
from portal.core.actor import Actor
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.limits import Limiter
from portal.usage import Journal, UsageRecord, decode_batch
from portal.usage.records import join_batch
from portal.usage.segments import list_segments, read_portion

MakeKey = Callable[..., Awaitable[keys.CreatedKey]]


@dataclass
class Process:
    """What one serving process is made of."""

    checker: Checker
    database: Database
    limiter: Limiter
    folder: Path

    def journalled(self) -> list[UsageRecord]:
        """What the journal holds on disk now, in order."""
        payloads = [
            payload for path in list_segments(self.folder) for payload in read_portion(path, 0, 10_000).payloads
        ]
        return decode_batch(join_batch(payloads))


@pytest.fixture
async def process(services: EmbeddedServices, database: Database, tmp_path: Path) -> AsyncIterator[Process]:
    async for one in make_process(services, tmp_path):
        yield one


async def make_process(services: EmbeddedServices, folder: Path, deadline_ms: int = 1000) -> AsyncIterator[Process]:
    limiter = Limiter(services.redis_urls, deadline_ms)
    changes = PolicyChanges(limiter, is_published=False)
    database = Database(services.database_url, after_commit=changes.after_commit)
    journal = Journal(folder / "journal", segment_bytes=1 << 20, sync_ms=100)
    await limiter.open()
    journal.open()
    policies = PolicyCache(database, limiter, size=1000, max_age_seconds=3600)
    yield Process(Checker(database, limiter, journal, policies), database, limiter, folder / "journal")
    journal.close()
    await limiter.close()
    await database.close()


@pytest.fixture
def make_key(process: Process) -> MakeKey:
    """`await make_key(actor, scopes=[…])`: a new live key of the actor's account."""

    async def make(actor: Actor, **fields: Any) -> keys.CreatedKey:
        async with process.database.transaction(actor.account_id) as tx:
            return await keys.create_key(tx, actor, keys.NewKey(**{"name": "one", **fields}))

    return make
