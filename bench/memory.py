"""`python -m bench.memory [--keys N]`: bytes of a key in a process and in Redis, and of a process without any.

A process's policies are what it loads through its own cache: one key is made and loaded from PostgreSQL, its policy in
the shared tier is multiplied under other ids, and a fresh process gets all of them. Redis tells of itself.
"""

import argparse
import asyncio
import gc
import multiprocessing
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any

from redis.asyncio import Redis

from bench.folders import own_folder
from bench.processes import Launch, Processes, free_port
from bench.run import RESULTS
from portal.accounts import Account
from portal.check import PolicyCache
from portal.core.actor import SYSTEM, Actor
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices, start_services
from portal.core.ids import AccountId, new_id
from portal.keys import NewKey, create_key, secret_digest
from portal.limits import Bucket, Limiter, LimitRequest, Mode, Quota, Seed, Subject, Window
from portal.plans import Plan, subscribe
from portal.runtime import prepare_database

KEYS_PER_ACCOUNT = 10
BATCH_SIZE = 512
BUSY_KEYS = 10_000
BUSY_CALLS = 100
MONTH = (("2026-11", 0, 2**52), ("2026-12", 2**52, 2**52 + 1))
LIMITS = [
    {"name": "burst", "algorithm": "sliding_window", "amount": 10, "window_ms": 1_000, "per": "key"},
    {"name": "sustained", "algorithm": "sliding_window", "amount": 100, "window_ms": 60_000, "per": "key"},
]
# As much as 10 a second and 100 a minute keep, but admitted at once and for longer than the measurement takes.
WINDOWS = (Window(BUSY_CALLS, 60_000_000), Window(BUSY_CALLS, 1_200_000_000))
BUCKET = Bucket(BUSY_CALLS, 1, 86_400_000_000)
Row = tuple[str, float, str]


class CannotMeasure(Exception):
    """Something is not as the measurement needs it."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description="Measure memory per key and process.")
    parser.add_argument("--keys", type=int, default=1_000_000, help="how many keys (1000000)")
    keys = parser.parse_args().keys
    rows = asyncio.run(_measure(keys))
    page = _page(rows, keys)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "memory.md").write_text(page)
    sys.stdout.write(f"{page}\n{RESULTS / 'memory.md'}\n")
    return 0


async def _measure(keys: int) -> list[Row]:
    with own_folder() as folder:
        services = await start_services(folder / "data", durable=False)
        try:
            await prepare_database(services.database_url)
            rows = await _of_processes(services, folder)
            rows += await _of_policies(services, keys)
            return rows + await _of_subjects(services, keys)
        finally:
            await services.stop()


async def _of_processes(services: EmbeddedServices, folder: Path) -> list[Row]:
    """As long as nobody asks; the supervisor of several is not counted."""
    rows: list[Row] = []
    for only in ("check", "portal"):
        port, name = free_port(), f"serve-{only}"
        environment = {
            "PORTAL_DATABASE_URL": services.database_url,
            "PORTAL_REDIS_URLS": ",".join(services.redis_urls),
            "PORTAL_DATA": str(folder / name),
        }
        command = [sys.executable, "-c", "from portal.cli import main; main()"]
        launch = Launch(name, [*command, "serve", "--port", str(port), "--only", only], folder, port, environment)
        with Processes(folder) as processes:
            pid = await processes.start(launch)
            await asyncio.sleep(1)
            rows.append((f"a process of `portal serve --only {only}`", _rss_bytes(pid), "without keys"))
    return rows


async def _of_policies(services: EmbeddedServices, keys: int) -> list[Row]:
    async with _redis(services) as redis:
        digest, ids = await _make_key(services)
        name, body = await _shared_policy(services, redis, digest)
        before = await _used(redis)
        await _multiply(redis, (name, digest, body), ids, keys)
        shared = (await _used(redis) - before) / keys
    bytes_a_key, parts = await asyncio.to_thread(
        _in_a_process_of_its_own, services.database_url, services.redis_urls[0], keys
    )
    about = f"{keys:,} keys, {KEYS_PER_ACCOUNT} an account, two windows and a quota"
    return [
        ("a policy in a process", bytes_a_key, f"{about}; largest parts: {parts}"),
        ("a policy in Redis's shared tier, for ten minutes", shared, f"{len(body):,} of them its text"),
    ]


async def _make_key(services: EmbeddedServices) -> tuple[bytes, dict[str, str]]:
    """Its digest, and the ids in its policy by what they begin with."""
    database = Database(services.database_url)
    async with database.transaction() as tx:
        plan = Plan(
            id=new_id("plan"),
            slug="memory",
            name="M",
            price=Decimal(0),
            monthly_quota=10_000,
            limits=LIMITS,
            created_at=tx.now,
        )
        await tx.insert(plan)
        account = await tx.insert(Account(id=new_id("acct"), name="Bench", created_at=tx.now))
        actor = Actor("system", SYSTEM.id, AccountId(account.id))
        await subscribe(tx, actor, plan.id)
        new = NewKey("Bench", scopes=("orders:read",), metadata={"customer": "c_1042"})
        created = await create_key(tx, actor, new)
    await database.close()
    return secret_digest(created.secret), {"acct": account.id, "key": created.key.id}


async def _shared_policy(services: EmbeddedServices, redis: Redis, digest: bytes) -> tuple[bytes, bytes]:
    """What a process that loads the key leaves in Redis: name and body."""
    async with _cache(services.database_url, services.redis_urls[0], 10) as cache:
        _require(await cache.find(digest) is not None, "the key that was made is not known")
        for _ in range(100):
            async for name in redis.scan_iter(f"*{digest.hex()}*"):
                body = await redis.get(name)
                assert isinstance(body, bytes)  # noqa: S101 this client decodes nothing
                return name, body
            await asyncio.sleep(0.02)
    raise CannotMeasure("the shared tier stays empty")


async def _multiply(redis: Redis, entry: tuple[bytes, bytes, bytes], ids: dict[str, str], keys: int) -> None:
    """The same policy for other keys of other accounts: ids keep their length, as real ones do."""
    name, digest, body = entry
    for start in range(0, keys, 10_000):
        async with redis.pipeline(transaction=False) as pipe:
            for number in range(start, min(keys, start + 10_000)):
                account = f"{number // KEYS_PER_ACCOUNT:010d}"
                copy = body.replace(ids["acct"].encode(), (ids["acct"][:-10] + account).encode())
                copy = copy.replace(ids["key"].encode(), (ids["key"][:-10] + f"{number:010d}").encode())
                pipe.set(name.replace(digest.hex().encode(), _digest(number).hex().encode()), copy, ex=3600)
            await pipe.execute()


def _digest(number: int) -> bytes:
    return number.to_bytes(4, "big") * 8


def _in_a_process_of_its_own(database_url: str, redis_url: str, keys: int) -> tuple[float, str]:
    spawning = multiprocessing.get_context("spawn")
    portal_figures, its = spawning.Pipe()
    child = spawning.Process(target=_load_all, args=(its, database_url, redis_url, keys))
    child.start()
    its.close()
    described: tuple[float, str] = portal_figures.recv()
    child.join()
    return described


def _load_all(described: Any, database_url: str, redis_url: str, keys: int) -> None:
    described.send(asyncio.run(_bytes_a_policy(database_url, redis_url, keys)))


async def _bytes_a_policy(database_url: str, redis_url: str, keys: int) -> tuple[float, str]:
    async with _cache(database_url, redis_url, keys + 1) as cache:
        await _at_once(1000, lambda number: cache.find(_digest(keys - 1 - number)))
        gc.collect()
        before = _rss_bytes(os.getpid())
        await _at_once(keys - 1000, lambda number: cache.find(_digest(number)))
        gc.collect()
        known = cache.sizes()["known"]
        _require(known == keys, f"{known} of {keys} are known")
        return (_rss_bytes(os.getpid()) - before) / (keys - 1000), _parts(await cache.find(_digest(0)))


def _parts(entry: Any) -> str:
    """What a policy is made of, the largest first, by Python's own account of each object, shared ones once."""
    policy, seen = entry.policy, set[int]()
    sizes = {name: _deep_size(getattr(policy, name), seen) for name in policy.__struct_fields__}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:6]
    return ", ".join(f"{name} {sizes[name]:,}" for name in largest)


def _deep_size(entry: Any, seen: set[int]) -> int:
    if id(entry) in seen:
        return 0
    seen.add(id(entry))
    inner = [*entry.items()] if isinstance(entry, dict) else entry if isinstance(entry, tuple | list) else []
    fields = [getattr(entry, name) for name in getattr(entry, "__struct_fields__", ())]
    return sys.getsizeof(entry) + sum(_deep_size(each, seen) for each in [*inner, *fields])


@asynccontextmanager
async def _cache(database_url: str, redis_url: str, size: int) -> AsyncIterator[PolicyCache]:
    database, limiter = Database(database_url), Limiter([redis_url], 1000)
    await limiter.open()
    try:
        yield PolicyCache(database, limiter, size=size, max_age_seconds=3600)
    finally:
        await limiter.close()
        await database.close()


async def _of_subjects(services: EmbeddedServices, keys: int) -> list[Row]:
    """Nothing expires meanwhile; each kind on an empty Redis."""
    windows, bucket = _subject(WINDOWS, None), _subject((), BUCKET)
    cases: list[tuple[str, Callable[[int], LimitRequest], int, int]] = [
        (f"10/s + 100/min in Redis, {BUSY_CALLS} calls in its windows", windows, min(keys, BUSY_KEYS), BUSY_CALLS),
        ("10/s + 100/min in Redis, one call", windows, keys, 1),
        ("a token bucket in Redis, any number of calls", bucket, keys, 1),
        ("an account's record with its quota in Redis", _account, max(1, keys // KEYS_PER_ACCOUNT), 1),
    ]
    rows = []
    async with _redis(services) as redis:
        for name, make, count, calls in cases:
            await redis.execute_command("FLUSHALL", "SYNC")  # type: ignore[no-untyped-call]  # redis leaves it untyped
            before = await _used(redis)
            await _decide(services.redis_urls[0], make, count, calls)
            _require(await redis.dbsize() == count, f"{name}: not all are there")
            rows.append((name, (await _used(redis) - before) / count, f"{count:,} of them"))
    return rows


def _subject(windows: tuple[Window, ...], bucket: Bucket | None) -> Callable[[int], LimitRequest]:
    def make(number: int) -> LimitRequest:
        subject = Subject(f"key_06C4AAF4RK{number:016d}", windows, bucket)
        return LimitRequest("acct", 0, Mode.CONSUME, 1, (subject,), None)

    return make


def _account(number: int) -> LimitRequest:
    name = f"acct_06C4AAF4RK{number:016d}"
    return LimitRequest(name, 1, Mode.CONSUME, 1, (), Quota(10_000, MONTH), Seed(1, {"2026-11": 0}))


async def _decide(url: str, make: Callable[[int], LimitRequest], count: int, calls: int) -> None:
    limiter = Limiter([url], 10_000)
    await limiter.open()
    for _ in range(calls):
        await _at_once(count, lambda number: limiter.decide_one(make(number)))
    await limiter.close()


async def _at_once(count: int, ask: Callable[[int], Awaitable[Any]]) -> None:
    """`ask` of every number, some at a time."""
    numbers: Iterator[int] = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await ask(number)

    await asyncio.gather(*[work() for _ in range(BATCH_SIZE)])


@asynccontextmanager
async def _redis(services: EmbeddedServices) -> AsyncIterator[Redis]:
    client = Redis.from_url(services.redis_urls[0])
    async with client:
        yield client


async def _used(redis: Redis) -> int:
    return int((await redis.info("memory"))["used_memory"])


def _rss_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def _require(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise CannotMeasure(otherwise)


def _page(rows: list[Row], keys: int) -> str:
    lines = [f"# Memory at {keys:,} keys, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "", "| what | bytes | about |"]
    lines += ["|---|---:|---|", *[f"| {what} | {size:,.0f} | {about} |" for what, size, about in rows]]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    begin = monotonic()
    code = main()
    sys.stdout.write(f"{monotonic() - begin:.0f} s\n")
    sys.exit(code)
