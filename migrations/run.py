"""Bring the database to the newest migration. Processes that start together wait for one another.

Each migration is a transaction of its own: what was done stays done, and nobody waits behind a lock for longer than one
of them takes. One that does not get its locks in time is undone and tried again, with a growing pause in between, so
that a long reader (a dump, an export) delays a migration and never the checks that queue behind it.
"""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from migrations.tables import is_compared, metadata

LOCK = 0x706F7274616C  # "portal"
LOCK_TIMEOUT_SECONDS = 5
MAX_TRIES = 20
RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0)
"""Pauses between tries of one migration; the last one repeats: about five minutes in all."""
LOCK_NOT_AVAILABLE = ("55P03", "40P01")

OnProgress = Callable[[str], None]


class SchemaState(StrEnum):
    """How a database stands to this version of the portal."""

    CURRENT = "current"
    OLDER = "older"
    """Migrations are missing: this version cannot work on it."""
    NEWER = "newer"
    """A later version has migrated it: this one goes on working, since a migration only adds until all are later."""
    EMPTY = "empty"


class LocksBusy(Exception):
    """A migration did not get its locks in time, however often it was tried; `revision` is the one."""

    def __init__(self, revision: str) -> None:
        super().__init__(revision)
        self.revision = revision


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


async def migrate(url: str, on_progress: OnProgress = lambda _: None) -> SchemaState:
    """Run what is missing, one transaction each; a second caller waits for the first and finds nothing to do.

    Returns how the database stood before. A newer one is left as it is. Raises LocksBusy, and what PostgreSQL raises.
    """
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as lock:
            await lock.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
            current = await _current_revision(engine)
            state = state_of(current)
            if state is not SchemaState.NEWER:
                for revision in missing_after(current):
                    on_progress(revision)
                    await _run(engine, revision)
            return state
    finally:
        await engine.dispose()


async def differences(url: str) -> list[Any]:
    """What the models have and the migrated database lacks, or the reverse; empty when they agree."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_compare)
    finally:
        await engine.dispose()


async def pending(url: str) -> tuple[str | None, str | None]:
    """The revision that the database has and the newest one of this version; equal when there is nothing to do."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        return await _current_revision(engine), newest_revision()
    finally:
        await engine.dispose()


def state_of(current: str | None) -> SchemaState:
    """Return how a database with this revision stands to this version."""
    if current is None:
        return SchemaState.EMPTY
    if current == newest_revision():
        return SchemaState.CURRENT
    known = {script.revision for script in _scripts().walk_revisions()}
    return SchemaState.OLDER if current in known else SchemaState.NEWER


def newest_revision() -> str | None:
    """Return the newest revision of this version."""
    return _scripts().get_current_head()


def missing_after(current: str | None) -> list[str]:
    """Return the revisions that come after this one, in their order."""
    revisions = [script.revision for script in _scripts().iterate_revisions("head", current or "base")]
    return revisions[::-1]


@cache
def _scripts() -> ScriptDirectory:
    """Return the migrations on disk, read once: the files do not change while a process runs."""
    return ScriptDirectory.from_config(alembic_config())


async def _current_revision(engine: AsyncEngine) -> str | None:
    async with engine.connect() as connection:
        return await connection.run_sync(lambda c: MigrationContext.configure(c).get_current_revision())


async def _run(engine: AsyncEngine, revision: str) -> None:
    for attempt in range(MAX_TRIES):
        try:
            async with engine.begin() as connection:
                await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'"))
                await connection.run_sync(_upgrade, _scripts(), revision)
                return
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in LOCK_NOT_AVAILABLE:
                raise
        await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
    raise LocksBusy(revision)


def _upgrade(connection: Connection, scripts: ScriptDirectory, revision: str) -> None:
    """Do what `alembic upgrade` does, without reading every file anew for each revision."""
    config = alembic_config()
    config.attributes["connection"] = connection

    def steps(current: Any, _: object) -> Any:
        return scripts._upgrade_revs(revision, current)

    with EnvironmentContext(config, scripts, fn=steps, destination_rev=revision):
        scripts.run_env()


def _compare(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"include_object": is_compared})
    return list(compare_metadata(context, metadata))
