"""The one wiring place: from settings to the parts of a process, opened and closed in order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from portal.accounts import SignInThrottle
from portal.check import Checker, PolicyCache, PolicyInvalidator, ServiceTokens
from portal.core.bus import USAGE_RECORDED, Bus, InProcessBus
from portal.core.database import Database
from portal.core.rabbit import RabbitBus
from portal.core.settings import Settings
from portal.graphql import GraphQLRateLimiter, SubscriptionHub
from portal.limits import Limiter, LimitsUnavailable
from portal.metering import Meter
from portal.runtime.check_metrics import CheckMetrics, shown
from portal.usage import Journal, Retention
from web.check.handler import CheckHandler
from web.graphql.live_connections import ConnectionRegistry
from web.services import WebServices

TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Container:
    """What every process shares; `changes` tells Redis of policy changes.

    `bus` carries events within the process, from the outbox to those who listen. Usage goes through `broker` where
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
        return self.broker or self.bus


@asynccontextmanager
async def open_container(settings: Settings) -> AsyncIterator[Container]:
    """Connected parts; a Redis that is away is no reason not to start."""
    urls = [url.get_secret_value() for url in settings.redis_urls]
    limiter = Limiter(urls, settings.check_deadline_ms)
    changes = PolicyInvalidator(limiter)
    database = Database(
        settings.database_url.get_secret_value(),
        pool_size=settings.database_pool_size,
        after_commit=changes.after_commit,
    )
    broker = open_broker(settings)
    await limiter.open()
    try:
        yield Container(settings, database, limiter, changes, InProcessBus(), broker)
    finally:
        if broker is not None:
            await broker.close()
        await limiter.close()
        await database.close()


def retention_of(settings: Settings) -> Retention:
    return Retention(
        raw=settings.retention_raw_months,
        minute=settings.retention_minute_months,
        quarter=settings.retention_quarter_months,
        day=settings.retention_day_months,
        quarantine_days=settings.retention_quarantine_days,
    )


def open_broker(settings: Settings) -> RabbitBus | None:
    """None without PORTAL_AMQP_URL. Connects when there is something to do, and whenever it can."""
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
    """What the HTTP process needs on top: the journal (`on_append` hears of its records), policy cache, checker."""
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
    )
    container.changes.listeners.append(policies.raise_version)
    journal.open()
    checker = Checker(container.database, container.limiter, journal, policies, processes=settings.expected_processes)
    await _hear_time(container.limiter, checker)
    tokens = ServiceTokens(container.database)
    hub = SubscriptionHub(
        container.database, container.limiter, [url.get_secret_value() for url in settings.redis_urls]
    )
    hub.open()
    try:
        with shown(CheckMetrics(container.limiter, checker)):
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
            )
    finally:
        await hub.close()
        await checker.close()
        await asyncio.to_thread(journal.close)


async def _hear_time(limiter: Limiter, checker: Checker) -> None:
    """An expiry goes by Redis's clock, of the very first check too: that of this machine may be wrong."""
    for shard in limiter.shards():
        with suppress(LimitsUnavailable):
            seconds, micros = await shard.connection.call("TIME", timeout_seconds=TIMEOUT_SECONDS)
            checker.ids.sync_clock(int(seconds) * 1_000_000 + int(micros))
            return


def journal_folder(settings: Settings) -> Path:
    """Shared by the processes of a node."""
    return settings.data / "journal"
