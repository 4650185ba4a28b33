"""A checker with its own journal on the session's servers, and keys to check."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from portal import accounts, keys, plans
from portal.check import Checker, PolicyCache, PolicyInvalidator
from portal.core.actor import SYSTEM, Actor, Role
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.ids import AccountId, new_id
from portal.limits import Limiter
from portal.usage import Journal, UsageRecord, decode_batch
from portal.usage.journal.segments import list_segments, read_chunk
from portal.usage.records import join_batch

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
        payloads = [payload for path in list_segments(self.folder) for payload in read_chunk(path, 0, 10_000).payloads]
        return decode_batch(join_batch(payloads))


@pytest.fixture
async def process(services: EmbeddedServices, database: Database, tmp_path: Path) -> AsyncIterator[Process]:
    async for one in make_process(services, tmp_path):
        yield one


async def make_process(
    services: EmbeddedServices, folder: Path, deadline_ms: int = 1000, urls: Sequence[str] = (), processes: int = 1
) -> AsyncIterator[Process]:
    """`urls` are shards in place of the session's."""
    limiter = Limiter(urls or services.redis_urls, deadline_ms)
    changes = PolicyInvalidator(limiter)
    database = Database(services.database_url, after_commit=changes.after_commit)
    journal = Journal(folder / "journal", segment_bytes=1 << 20, sync_ms=100)
    await limiter.open()
    journal.open()
    policies = PolicyCache(database, limiter, size=1000, max_age_seconds=3600)
    checker = Checker(database, limiter, journal, policies, processes=processes)
    yield Process(checker, database, limiter, folder / "journal")
    await checker.close()
    journal.close()
    await limiter.close()
    await database.close()


async def make_customer(database: Database, limit: tuple[int, int], **plan: Any) -> tuple[str, str]:
    """An account on a plan of its own with one limit (amount, window_ms) per key: its id and a key's secret."""
    email = f"{new_id('t').lower()}@example.com"
    amount, window_ms = limit
    limits = [
        {"name": "w", "algorithm": "sliding_window", "amount": amount, "window_ms": window_ms, "per": "key"},
    ]
    async with database.transaction() as tx:
        _, account = await accounts.sign_up(tx, accounts.NewAccount(email, "correct horse battery", "Ann", "Acme"))
        slug = new_id("plan").lower()
        row = await tx.insert(
            plans.Plan(
                id=new_id("plan"), slug=slug, name="P", price=Decimal(0), limits=limits, created_at=tx.now, **plan
            )
        )
        await plans.subscribe(tx, Actor("system", SYSTEM.id, AccountId(account.id)), row.id)
        owner = Actor("person", SYSTEM.id, AccountId(account.id), role=Role.OWNER)
        created = await keys.create_key(tx, owner, keys.NewKey(name="one"))
    return account.id, created.secret


@pytest.fixture
def make_key(process: Process) -> MakeKey:
    """`await make_key(actor, scopes=[…])`: a new live key of the actor's account."""

    async def make(actor: Actor, **fields: Any) -> keys.CreatedKey:
        async with process.database.transaction(actor.account_id) as tx:
            return await keys.create_key(tx, actor, keys.NewKey(**{"name": "one", **fields}))

    return make
