"""The one wiring place: from settings to the parts of a process, opened and closed in order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from portal.accounts import SignInAttempts
from portal.check import Checker, PolicyCache, PolicyChanges, ServiceTokens, listen_to_changes
from portal.cli.check_metrics import CheckMetrics, shown
from portal.core.bus import InProcessBus
from portal.core.database import Database
from portal.core.settings import Settings
from portal.graphql import Allowances
from portal.graphql.live import Feeds
from portal.limits import Limiter
from portal.usage import Journal
from web.check.desk import Desk
from web.connections import Connections
from web.services import WebServices


@dataclass(frozen=True, slots=True)
class Parts:
    """What every process shares; `changes` tells Redis of policy changes."""

    settings: Settings
    database: Database
    limiter: Limiter
    changes: PolicyChanges
    bus: InProcessBus


@asynccontextmanager
async def open_parts(settings: Settings) -> AsyncIterator[Parts]:
    """Connected parts; a Redis that is away is no reason not to start."""
    urls = [url.get_secret_value() for url in settings.redis_urls]
    limiter = Limiter(urls, settings.check_deadline_ms)
    changes = PolicyChanges(limiter, is_published=settings.is_pubsub_enabled)
    database = Database(
        settings.database_url.get_secret_value(),
        pool_size=settings.database_pool_size,
        after_commit=changes.after_commit,
    )
    await limiter.open()
    try:
        yield Parts(settings, database, limiter, changes, InProcessBus())
    finally:
        await limiter.close()
        await database.close()


@asynccontextmanager
async def open_web(parts: Parts, on_append: Callable[[], None] | None = None) -> AsyncIterator[WebServices]:
    """What the HTTP process needs on top: the journal (`on_append` hears of its records), policy cache, checker."""
    settings = parts.settings
    journal = Journal(
        settings.data / "journal",
        segment_bytes=settings.journal_segment_bytes,
        sync_ms=settings.journal_sync_ms,
        on_append=on_append,
    )
    policies = PolicyCache(
        parts.database, parts.limiter, size=settings.policy_cache_size, max_age_seconds=settings.policy_max_age_seconds
    )
    parts.changes.listeners.append(policies.raise_version)
    journal.open()
    checker = Checker(parts.database, parts.limiter, journal, policies, processes=settings.expected_processes)
    listeners = _listen(settings, policies)
    feeds = Feeds(parts.database, parts.limiter, [url.get_secret_value() for url in settings.redis_urls])
    feeds.open()
    try:
        with shown(CheckMetrics(parts.limiter, checker)):
            yield WebServices(
                settings=settings,
                database=parts.database,
                checker=checker,
                desk=Desk(checker, ServiceTokens(parts.database)),
                attempts=SignInAttempts(parts.limiter),
                allowances=Allowances(parts.limiter, settings.graphql_allowance),
                feeds=feeds,
                connections=Connections(parts.database),
            )
    finally:
        await feeds.close()
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
        await checker.close()
        await asyncio.to_thread(journal.close)


def _listen(settings: Settings, policies: PolicyCache) -> list[asyncio.Task[None]]:
    if not settings.is_pubsub_enabled:
        return []
    return [asyncio.create_task(listen_to_changes(url.get_secret_value(), policies)) for url in settings.redis_urls]
