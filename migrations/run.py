"""Bring the database to the newest migration. Processes that start together wait for one another."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from migrations.tables import is_compared, metadata

LOCK = 0x706F7274616C  # "portal"
LOCK_TIMEOUT = "SET lock_timeout = '10s'"


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


async def migrate(url: str) -> None:
    """Run what is missing, on a connection of its own; a second caller waits for the first and finds nothing to do."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as lock:
            await lock.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
            async with engine.begin() as connection:
                await connection.execute(text(LOCK_TIMEOUT))
                await connection.run_sync(_upgrade)
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
    """The revision that the database has and the newest one; equal when there is nothing to do."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            current = await connection.run_sync(lambda c: MigrationContext.configure(c).get_current_revision())
    finally:
        await engine.dispose()
    return current, ScriptDirectory.from_config(alembic_config()).get_current_head()


def _upgrade(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _compare(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"include_object": is_compared})
    return list(compare_metadata(context, metadata))
