"""What `portal doctor` looks at, one function a subject. None raises: what goes wrong is the finding."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import asyncpg
from aio_pika.abc import AbstractConnection
from aiormq.exceptions import ChannelNotFoundEntity
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from migrations.run import pending
from portal.core.clock import from_microseconds, utc_now
from portal.core.messaging.bus import USAGE_RECORDED
from portal.core.rabbit import (
    BROKER_ERRORS,
    connect,
    dead_queue,
    is_as_declared,
    retry_queue,
    takes_messages,
    version_of,
)
from portal.core.redis.address import parse_shard
from portal.core.server_versions import MIN_POSTGRES, MIN_REDIS
from portal.limits import LimitsUnavailable, Sentinels, shard_client
from portal.runtime import host_and_port
from portal.usage import journal_backlog

TIMEOUT_SECONDS = 5
MIN_CONNECTIONS = 20
"""What one more busy process may open."""
_CONNECTIONS = """
    SELECT least(most - used, of_role - used_by_role), least(most, of_role)
    FROM (
        SELECT current_setting('max_connections')::int
                - current_setting('superuser_reserved_connections')::int AS most,
            (SELECT CASE WHEN rolconnlimit < 0 THEN 2147483647 ELSE rolconnlimit END
                FROM pg_roles WHERE rolname = session_user) AS of_role,
            (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int AS used,
            (SELECT count(*) FROM pg_stat_activity WHERE usename = session_user)::int AS used_by_role
    ) AS connections
"""
CLOCKS_APART_SECONDS = 2.0
BACKLOG_SECONDS = 60.0
LOW_SPACE = 1 << 30
MIN_SPACE = 100 << 20
UNTRUSTED = "Name the file of the authority that signed its certificate: rediss://…?ca=/path/of/ca.pem."


class State(StrEnum):
    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` was examined, how it is, and how to mend it."""

    what: str
    state: State
    message: str
    hint: str | None = None


async def examine_postgres(url: str) -> Finding:
    try:
        connection = await _connect(url)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return Finding(
            "PostgreSQL",
            State.BAD,
            f"{host_and_port(url)} does not answer: {_reason(error)}.",
            "Check PORTAL_DATABASE_URL.",
        )
    try:
        number = int(await connection.fetchval("SHOW server_version_num"))
        version = (await connection.fetchval("SHOW server_version")).split()[0]
        is_read_only = await connection.fetchval("SHOW transaction_read_only") == "on"
        left, most = await connection.fetchrow(_CONNECTIONS)
    finally:
        await connection.close()
    if number // 10_000 < MIN_POSTGRES:
        return Finding("PostgreSQL", State.BAD, f"{version} is too old.", f"Use {MIN_POSTGRES} or newer.")
    if is_read_only:
        hint = "Name the primary in PORTAL_DATABASE_URL; a full disk of a managed server does the same."
        return Finding("PostgreSQL", State.BAD, f"{version} at {host_and_port(url)} is read-only.", hint)
    if left < MIN_CONNECTIONS:
        hint = "Raise max_connections or lower PORTAL_DATABASE_POOL_SIZE: a process opens up to twice that."
        return Finding("PostgreSQL", State.DOUBTFUL, f"{left} of {most} connections are left.", hint)
    return Finding("PostgreSQL", State.GOOD, f"{version} at {host_and_port(url)}.")


async def examine_migrations(url: str) -> Finding:
    try:
        current, newest = await pending(url)
    except (OSError, SQLAlchemyError) as error:
        return Finding("migrations", State.BAD, f"cannot be read: {_reason(error)}.", "Check the log-in's rights.")
    if current != newest:
        return Finding(
            "migrations", State.BAD, f"{current or 'none'}, the newest is {newest}.", "Run `portal migrate`."
        )
    return Finding("migrations", State.GOOD, f"{current}, the newest.")


async def examine_redis(url: str) -> Finding:
    place = parse_shard(url).name
    try:
        async with await _redis(url) as redis:
            facts: dict[str, Any] = await redis.info()
    except (OSError, RedisError, LimitsUnavailable) as error:
        hint = UNTRUSTED if "CERTIFICATE_VERIFY_FAILED" in str(error) else "Check PORTAL_REDIS_URLS."
        return Finding("Redis", State.BAD, f"{place} does not answer: {_reason(error)}.", hint)
    if _version_of(facts) < MIN_REDIS:
        oldest = ".".join(map(str, MIN_REDIS))
        return Finding("Redis", State.BAD, f"{place} is too old.", f"Use Redis {oldest} or newer, or Valkey.")
    version = f"{facts.get('server_name', 'redis')} {facts.get('valkey_version') or facts.get('redis_version')}"
    if facts.get("role") != "master":
        return Finding("Redis", State.BAD, f"{place} is a replica.", "Name its master, or its Sentinels.")
    policy = facts.get("maxmemory_policy")
    if policy != "noeviction":
        hint = "CONFIG SET maxmemory-policy noeviction, and in its file: an evicted counter is a lost limit."
        return Finding("Redis", State.BAD, f"{place} may evict counters (maxmemory-policy {policy}).", hint)
    if not facts.get("aof_enabled"):
        hint = "Set appendonly yes, so that a restart does not begin all windows anew."
        return Finding("Redis", State.DOUBTFUL, f"{version} at {place} keeps nothing on disk.", hint)
    return Finding("Redis", State.GOOD, f"{version} at {place}, noeviction, append-only.")


async def examine_sentinels(url: str) -> Finding | None:
    """Examine whether a promotion can happen; None for a shard without Sentinels."""
    address = parse_shard(url)
    if address.master is None:
        return None
    sentinels = Sentinels(address)
    votes = await sentinels.masters()
    await sentinels.close()
    answered, all_of_them = votes.total(), len(address.servers)
    if answered * 2 <= all_of_them:
        what = f"{answered} of {all_of_them} tell where {address.name} is: too few for a promotion."
        return Finding("Sentinels", State.BAD, what, "Check their addresses, the master's name and sentinel_password.")
    if len(votes) > 1:
        what = f"they name different masters of {address.name}: a promotion spreads, or one of them is cut off."
        return Finding("Sentinels", State.DOUBTFUL, what, "Ask again in a few seconds.")
    if answered < all_of_them:
        what = f"{answered} of {all_of_them} tell where {address.name} is."
        return Finding("Sentinels", State.DOUBTFUL, what, "Start the others: another loss ends promotions.")
    host, port = next(iter(votes))
    return Finding("Sentinels", State.GOOD, f"all {answered} name {host}:{port} as {address.name}.")


async def examine_clocks(database_url: str, redis_urls: Sequence[str]) -> Finding:
    """How far each server's clock is from this machine's; those that do not answer have their own finding."""
    apart: dict[str, float] = {}
    for name, url in [("PostgreSQL", database_url), *(("Redis", url) for url in redis_urls)]:
        try:
            asked_at = utc_now()
            there = await _time_of(url)
            here = asked_at + (utc_now() - asked_at) / 2
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, RedisError, LimitsUnavailable):
            continue
        place = host_and_port(url) if name == "PostgreSQL" else parse_shard(url).name
        apart[f"{name} at {place}"] = abs((there - here).total_seconds())
    if not apart:
        return Finding("clocks", State.DOUBTFUL, "no server answered.")
    worst = max(apart, key=lambda name: apart[name])
    if apart[worst] > CLOCKS_APART_SECONDS:
        return Finding(
            "clocks", State.DOUBTFUL, f"{worst} is {apart[worst]:.1f} s away from this machine.", "Run NTP on both."
        )
    return Finding("clocks", State.GOOD, f"at most {apart[worst]:.2f} s apart.")


def examine_disk(data: Path) -> Finding:
    """Examine the journal's folder, and never make it: an answer that cannot be counted is not given."""
    journal = data / "journal"
    place = next(folder for folder in (journal, *journal.absolute().parents) if folder.is_dir())
    try:
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"portal doctor")
            os.fsync(probe.fileno())
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Finding("disk", State.BAD, f"{place} cannot be written: {error.strerror}.", "Check PORTAL_DATA.")
    message = f"{free / (1 << 30):.1f} GiB free at {place}"
    if free < MIN_SPACE:
        return Finding("disk", State.BAD, f"{message}: too little.", "Make room: a full disk stops all checks.")
    if place != journal:
        hint = "The first `portal serve` makes it. Where one runs it is gone: mount its volume, or make the folder."
        return Finding("disk", State.DOUBTFUL, f"{message}; there is no {journal}.", hint)
    if free < LOW_SPACE:
        return Finding("disk", State.DOUBTFUL, f"{message}: little.", "Make room: a full disk stops all checks.")
    return Finding("disk", State.GOOD, f"{message}, writable.")


async def examine_broker(url: str, retention_days: int) -> Finding:
    """Examine RabbitMQ: the log-in, the queues, and that none holds dead letters."""
    place = host_and_port(url)
    try:
        connection = await connect(url, "doctor")
        try:
            version = version_of(connection)
            letters = await _dead_letters(connection)
            is_kept_so_long = letters is None or await is_as_declared(connection, USAGE_RECORDED, retention_days)
            is_taking = await takes_messages(connection)
        finally:
            await connection.close()
    except BROKER_ERRORS as error:
        return Finding("RabbitMQ", State.BAD, f"{place} is of no use: {_reason(error)}.", "Check PORTAL_AMQP_URL.")
    if not is_taking:
        hint = "It is short of memory or disk: `rabbitmqctl status` names the alarm. The journal keeps usage meanwhile."
        return Finding("RabbitMQ", State.BAD, f"{place} answers and takes no messages (connection.blocked).", hint)
    if letters is None:
        hint = "The first `portal worker` declares them."
        return Finding("RabbitMQ", State.DOUBTFUL, f"{version} at {place} has not all queues yet.", hint)
    if letters:
        return Finding("RabbitMQ", State.DOUBTFUL, f"{letters} dead letters.", "Look at `portal dlq list`.")
    if not is_kept_so_long:
        what = f"{dead_queue(USAGE_RECORDED)} has another retention than PORTAL_DEAD_LETTER_DAYS says."
        return Finding("RabbitMQ", State.DOUBTFUL, what, "Delete that queue while it is empty: it is declared anew.")
    return Finding("RabbitMQ", State.GOOD, f"{version} at {place}, queues declared, no dead letters.")


async def _dead_letters(connection: AbstractConnection) -> int | None:
    """Return how many dead letters there are; None where a queue is not declared, which is left so."""
    found = 0
    for queue in (USAGE_RECORDED, retry_queue(USAGE_RECORDED), dead_queue(USAGE_RECORDED)):
        try:
            async with connection.channel() as channel:
                declared = await channel.declare_queue(queue, passive=True)
                found = declared.declaration_result.message_count or 0
        except ChannelNotFoundEntity:
            return None
    return found


def examine_backlog(data: Path) -> Finding:
    """Examine what this node has answered and nobody has counted yet."""
    try:
        backlog = journal_backlog(data / "journal")
    except OSError as error:
        return Finding("journal", State.BAD, f"cannot be read: {error.strerror}.", "Check PORTAL_DATA.")
    if backlog.oldest is None:
        return Finding("journal", State.GOOD, "everything is shipped.")
    seconds = (utc_now() - backlog.oldest).total_seconds()
    message = f"{backlog.bytes / (1 << 20):.1f} MiB are not shipped, the oldest {seconds:.0f} s old"
    if seconds > BACKLOG_SECONDS:
        return Finding(
            "journal", State.DOUBTFUL, f"{message}.", "See that `portal worker` runs and reaches the broker."
        )
    return Finding("journal", State.GOOD, f"{message}.")


async def _time_of(url: str) -> datetime:
    if not url.startswith("postgresql"):
        async with await _redis(url) as redis:
            seconds, micros = await redis.time()
            return from_microseconds(int(seconds) * 1_000_000 + int(micros))
    connection = await _connect(url)
    try:
        there: datetime = await connection.fetchval("SELECT clock_timestamp()")
    finally:
        await connection.close()
    return there


async def _connect(url: str) -> Any:
    return await asyncpg.connect(url.replace("postgresql+asyncpg://", "postgresql://", 1), timeout=TIMEOUT_SECONDS)


async def _redis(url: str) -> Redis:
    return await shard_client(url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS)


def _version_of(facts: dict[str, Any]) -> tuple[int, ...]:
    """Return major and minor; a Valkey says which Redis it is compatible with."""
    return tuple(int(part) for part in str(facts.get("redis_version", "0.0")).split(".")[:2])


def _reason(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
