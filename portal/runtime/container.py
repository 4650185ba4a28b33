"""From settings to the parts of a process, opened and closed in order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from portal.accounts import SignInThrottle
from portal.check import Checker, PolicyCache, PolicyInvalidator, RestoredDatabase, ServiceTokens, SharedTokens
from portal.core.database import Database
from portal.core.logs import get_log
from portal.core.messaging.bus import USAGE_RECORDED, Bus, InProcessBus
from portal.core.rabbit import RabbitBus
from portal.core.redis.address import parse_shard
from portal.core.settings import Settings
from portal.graphql import GraphQLRateLimiter, SubscriptionHub
from portal.limits import Limiter, LimitsUnavailable
from portal.metering import Meter
from portal.runtime.metrics import CheckMetrics, JournalMetrics, LoopLag, ProcessMetrics, expose_metrics
from portal.usage import Journal, Retention
from web.check.handler import CheckHandler
from web.connection.budget import RESERVED_DESCRIPTORS, ConnectionBudget, measure_capacity
from web.graphql.live_connections import ConnectionRegistry
from web.services import WebServices

TIMEOUT_SECONDS = 1.0
CLOCK_ERROR_SECONDS = 2.0
NTP = "Run NTP here and where Redis runs: checks and their usage go by Redis's clock, sessions and logs by this one."


@dataclass(frozen=True, slots=True)
class Container:
    """The parts that every process has; `changes` raises the policy versions in Redis.

    `bus` carries events within the process, from the outbox to their subscribers. Usage goes through `broker` where
    there is one.
    """

    settings: Settings
    database: Database
    limiter: Limiter
    changes: PolicyInvalidator
    bus: InProcessBus
    broker: RabbitBus | None = None

    @property
    def usage_bus(self) -> Bus:
        """Return the bus that usage takes: the broker, or this process's own."""
        return self.broker or self.bus


@asynccontextmanager
async def open_container(settings: Settings) -> AsyncIterator[Container]:
    """Connect the parts and close them at the end. A Redis that is away keeps nothing from starting."""
    urls = [url.get_secret_value() for url in settings.redis_urls]
    limiter = Limiter(urls, settings.check_deadline_ms)
    changes = PolicyInvalidator(limiter)
    database = Database(
        settings.database_url.get_secret_value(),
        pool_size=settings.database_pool_size,
        after_commit=changes.after_commit,
    )
    changes.heal = RestoredDatabase(database, limiter).heal_lost
    broker = _open_broker(settings)
    await limiter.open()
    lag = LoopLag()
    try:
        async with lag.measuring():
            with expose_metrics(ProcessMetrics(database, lag)):
                yield Container(settings, database, limiter, changes, InProcessBus(), broker)
    finally:
        if broker is not None:
            await broker.close()
        await limiter.close()
        await database.close()


def retention_of(settings: Settings) -> Retention:
    """Return how many months of each kind of usage the settings keep."""
    return Retention(
        raw=settings.retention_raw_months,
        minute=settings.retention_minute_months,
        quarter=settings.retention_quarter_months,
        day=settings.retention_day_months,
        quarantine_days=settings.retention_quarantine_days,
    )


def _open_broker(settings: Settings) -> RabbitBus | None:
    """Return None without PORTAL_AMQP_URL. It connects when there is something to do, and whenever it can."""
    if settings.amqp_url is None:
        return None
    return RabbitBus(
        settings.amqp_url.get_secret_value(),
        USAGE_RECORDED,
        prefetch=settings.amqp_prefetch,
        retention_days=settings.dead_letter_days,
    )


@asynccontextmanager
async def open_web(container: Container, on_append: Callable[[], None] | None = None) -> AsyncIterator[WebServices]:
    """Open what an HTTP process needs on top: journal, policy cache, checker, subscriptions.

    `on_append` is called after each record that the journal takes.
    """
    settings = container.settings
    journal = Journal(
        journal_folder(settings),
        segment_bytes=settings.journal_segment_bytes,
        sync_ms=settings.journal_sync_ms,
        on_append=on_append,
    )
    policies = PolicyCache(
        container.database,
        container.limiter,
        size=settings.policy_cache_size,
        max_age_seconds=settings.policy_max_age_seconds,
        outage_seconds=settings.outage_seconds,
    )
    container.changes.listeners.append(policies.raise_version)
    journal.open()
    checker = Checker(container.database, container.limiter, journal, policies, processes=settings.expected_processes)
    await _read_redis_clock(container.limiter, checker)
    tokens = ServiceTokens(
        container.database,
        SharedTokens(container.limiter),
        outage_seconds=settings.outage_seconds,
        on_failed=policies.back_up,
    )
    await tokens.open()
    hub = SubscriptionHub(
        container.database, container.limiter, [url.get_secret_value() for url in settings.redis_urls]
    )
    hub.open()
    try:
        with expose_metrics(
            CheckMetrics(container.limiter, checker), JournalMetrics(journal_folder(settings), journal)
        ):
            yield WebServices(
                settings=settings,
                database=container.database,
                checker=checker,
                check_handler=CheckHandler(checker, tokens),
                tokens=tokens,
                meter=Meter(container.database, container.limiter, retention_of(settings), settings.metering_late_days),
                throttle=SignInThrottle(container.limiter),
                limiter=container.limiter,
                rate_limiter=GraphQLRateLimiter(container.limiter, settings.graphql_allowance),
                hub=hub,
                connections=ConnectionRegistry(container.database),
                budget=make_budget(settings),
            )
    finally:
        await hub.close()
        await tokens.close()
        await checker.close()
        await asyncio.to_thread(journal.close)


async def _read_redis_clock(limiter: Limiter, checker: Checker) -> None:
    """Take the clock of the first Redis that answers: expiries go by it from the very first check on."""
    for shard in limiter.shards():
        with suppress(LimitsUnavailable):
            seconds, micros = await shard.connection.call("TIME", timeout_seconds=TIMEOUT_SECONDS)
            checker.ids.sync_clock(int(seconds) * 1_000_000 + int(micros))
            error = checker.ids.clock_error_seconds()
            if abs(error) >= CLOCK_ERROR_SECONDS:
                get_log(__name__).warning("clock_wrong", shard=shard.connection.name, seconds=round(error, 3), hint=NTP)
            return


def make_budget(settings: Settings) -> ConnectionBudget:
    """Return the budget of this process's HTTP connections, below what its descriptors allow."""
    reserved = RESERVED_DESCRIPTORS + 2 * settings.database_pool_size
    capacity = measure_capacity(settings.max_connections, reserved)
    share = settings.max_connections_per_address or None
    return ConnectionBudget(capacity, share, is_exempt=settings.proxies.is_trusted)


def journal_folder(settings: Settings) -> Path:
    """Return the folder of the journal, which the processes of a node share."""
    return settings.data / "journal"


def describe_services(settings: Settings) -> dict[str, Any]:
    """Return where the services are, without any password, for the log."""
    amqp_url = settings.amqp_url
    return {
        "postgresql": host_and_port(settings.database_url.get_secret_value()),
        "redis": [parse_shard(url.get_secret_value()).name for url in settings.redis_urls],
        "rabbitmq": None if amqp_url is None else host_and_port(amqp_url.get_secret_value()),
    }


def host_and_port(url: str) -> str:
    """Return a URL's host and port: never its user or password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
