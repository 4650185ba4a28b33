"""What every contender meets: servers, plans, accounts, keys, a service token, and request bodies made of them.

Everything is admitted, since limits are 10^12 (a denial would be cheaper than what is to be measured), while a window's
log is as long as that of a busy key with 10 a second and 100 a minute: its longest window is so short that about 100
calls of a key fall into it at some 30,000 a second.
"""

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from redis.asyncio import Redis

from portal.accounts import Account, create_service_token
from portal.core.actor import SYSTEM, Actor
from portal.core.database import Database, Tx
from portal.core.embedded import EmbeddedServices, start_services
from portal.core.ids import AccountId, new_id
from portal.keys import NewKey, create_key
from portal.plans import Plan, subscribe
from portal.runtime import prepare_database

MANY = 10**12
"""So that a closed loop of any speed is admitted throughout; how a limit is counted does not depend on its amount."""
BATCH = 100
BATCH_BODIES = 100


@dataclass(frozen=True, slots=True)
class Group:
    """Accounts on one plan, with keys each."""

    name: str
    limits: Sequence[Mapping[str, Any]]
    accounts: int
    keys: int


def _window(name: str, amount: int, window_ms: int) -> dict[str, Any]:
    return {"name": name, "algorithm": "sliding_window", "amount": amount, "window_ms": window_ms, "per": "key"}


def _bucket(name: str, amount: int, window_ms: int, per: str = "key") -> dict[str, Any]:
    return {"name": name, "algorithm": "token_bucket", "amount": amount, "window_ms": window_ms, "per": per}


WINDOWS = (_window("burst", MANY, 300), _window("sustained", MANY, 3_000))
BUCKETS = (_bucket("burst", 1_000_000, 1_000), _bucket("sustained", 50_000_000, 60_000))
DENIED = (_window("burst", 1, 3_600_000), _window("sustained", 1, 7_200_000))
GROUPS = (
    Group("windows", WINDOWS, accounts=100, keys=10),
    Group("buckets", BUCKETS, accounts=100, keys=10),
    Group("one", BUCKETS, accounts=1, keys=1),
    Group("denied", DENIED, accounts=10, keys=10),
)


@dataclass(frozen=True, slots=True)
class World:
    """`bodies` by group: a file with one check a line; "batch" has 100 checks a line."""

    folder: Path
    services: EmbeddedServices
    database: Database
    token: str
    bodies: Mapping[str, Path]
    samples: Mapping[str, Sequence[Mapping[str, Any]]]

    @property
    def redis_url(self) -> str:
        return self.services.redis_urls[0]

    async def used_units(self) -> int:
        """Units of all accounts as Redis counts them for the quotas."""
        client: Redis = Redis.from_url(self.redis_url, decode_responses=True)
        async with client:
            records = [name async for name in client.scan_iter("account:*", count=1000)]
            async with client.pipeline(transaction=False) as pipe:
                for record in records:
                    pipe.hgetall(record)
                found = await pipe.execute()
        return sum(int(value) for record in found for field, value in record.items() if field.startswith("used:"))


@asynccontextmanager
async def open_world(folder: Path) -> AsyncIterator[World]:
    """Servers on their own folder, stopped at the end."""
    services = await start_services(folder / "data")
    database = Database(services.database_url)
    try:
        await prepare_database(services.database_url)
        async with database.transaction() as tx:
            token = (await create_service_token(tx, SYSTEM, "bench")).token
        keys = {group.name: await _make(database, group) for group in GROUPS}
        samples = {name: [{"key": key, "resource": "orders.list"} for key in group] for name, group in keys.items()}
        yield World(folder, services, database, token, _write(folder, samples), samples)
    finally:
        await database.close()
        await services.stop()


async def _make(database: Database, group: Group) -> list[str]:
    async with database.transaction() as tx:
        plan = await tx.insert(
            Plan(
                id=new_id("plan"),
                slug=group.name,
                name=group.name.title(),
                price=Decimal(0),
                monthly_quota=MANY,
                limits=[dict(limit) for limit in group.limits],
                position=9,
                created_at=tx.now,
            )
        )
    secrets: list[str] = []
    for _ in range(group.accounts):
        async with database.transaction() as tx:
            secrets += await _make_account(tx, plan.id, group.keys)
    random.Random(1).shuffle(secrets)  # noqa: S311 an order, not a secret
    return secrets


async def _make_account(tx: Tx, plan_id: str, keys: int) -> list[str]:
    account = await tx.insert(Account(id=new_id("acct"), name="Bench", created_at=tx.now))
    actor = Actor("system", SYSTEM.id, AccountId(account.id))
    await subscribe(tx, actor, plan_id)
    new = NewKey("Bench", scopes=("orders:read",), metadata={"customer": "c_1042"})
    return [(await create_key(tx, actor, new)).secret for _ in range(keys)]


def _write(folder: Path, samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Path]:
    lines = {name: [msgspec.json.encode(body) for body in bodies] for name, bodies in samples.items()}
    draw = random.Random(2)  # noqa: S311 the same mixture each time, not a secret
    lines["batch"] = [
        msgspec.json.encode({"checks": draw.choices(samples["windows"], k=BATCH)}) for _ in range(BATCH_BODIES)
    ]
    files = {}
    for name, bodies in lines.items():
        files[name] = folder / f"{name}.bodies"
        files[name].write_bytes(b"\n".join(bodies) + b"\n")
    return files
