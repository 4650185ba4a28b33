"""Make a database ready for use (migrations, partitions, a catalogue), and refuse one that this version cannot use."""

import asyncio
from urllib.parse import urlsplit

from migrations.run import LocksBusy, OnProgress, SchemaState, migrate, pending, state_of
from portal.core.database import Database
from portal.core.errors import StartupError
from portal.core.outages.database_errors import describe, is_dependency_unavailable, is_server_unavailable, sqlstate_of
from portal.plans import ensure_catalogue
from portal.usage import ensure_partitions

NO_RIGHT = "42501"
TIMEOUT_SECONDS = 10.0


async def prepare_database(url: str, on_progress: OnProgress = lambda _: None) -> SchemaState:
    """Run the missing migrations, make the partitions, and add the starter catalogue where there is no plan.

    Idempotent; processes that do so together wait for one another. Returns how the database stood before; one that a
    later version has migrated is left as it is. Raises StartupError.
    """
    try:
        state = await migrate(url, on_progress)
        if state is not SchemaState.NEWER:
            await _fill(url)
        return state
    except LocksBusy as busy:
        raise StartupError(
            f"Migration {busy.revision} does not get its locks: other sessions hold them. Those before it are done.",
            hint="End long transactions (pg_stat_activity), such as a dump or an export, and run it again.",
        ) from None
    except Exception as error:
        if not is_dependency_unavailable(error):
            raise
        raise _startup_error(url, error) from None


async def require_migrated(url: str) -> None:
    """Refuse to start on a database that lacks migrations. One that is away is no reason: known keys go on without it.

    Raises StartupError.
    """
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            current, newest = await pending(url)
    except Exception as error:
        if not is_dependency_unavailable(error):
            raise
        return
    if state_of(current) in (SchemaState.OLDER, SchemaState.EMPTY):
        what = f"The database has migration {current or 'none'} and this version needs {newest}."
        raise StartupError(what, hint="Run `portal migrate` with this version first.")


async def _fill(url: str) -> None:
    database = Database(url, pool_size=2)
    try:
        async with database.transaction() as tx:
            await ensure_catalogue(tx)
            now = tx.now
        await ensure_partitions(database, now)
    finally:
        await database.close()


def _startup_error(url: str, error: Exception) -> StartupError:
    role = urlsplit(url).username or "the role"
    if sqlstate_of(error) == NO_RIGHT:
        return StartupError(
            f"PostgreSQL refuses {role} a right: {describe(error)}.",
            hint=f"As a superuser: ALTER ROLE {role} CREATEROLE; and make {role} the owner of the database.",
        )
    if is_server_unavailable(error):
        return StartupError(f"PostgreSQL does not answer: {describe(error)}.", hint="Check PORTAL_DATABASE_URL.")
    return StartupError(f"The migration failed: {describe(error)}.", hint="Nothing of it was kept; run it again.")
