"""Make a database ready for use: migrations, partitions, a catalogue."""

from migrations.run import migrate
from portal.core.database import Database
from portal.core.errors import StartupError
from portal.plans import ensure_catalogue
from portal.usage import ensure_partitions


async def prepare_database(url: str) -> None:
    """Run the missing migrations, make the partitions, and add the starter catalogue where there is no plan.

    Idempotent; processes that do so together wait for one another. Raises StartupError when PostgreSQL is away.
    """
    try:
        await migrate(url)
    except OSError as error:
        raise StartupError(f"PostgreSQL does not answer: {error}.", hint="Check PORTAL_DATABASE_URL.") from None
    database = Database(url, pool_size=2)
    try:
        async with database.transaction() as tx:
            await ensure_catalogue(tx)
            now = tx.now
        await ensure_partitions(database, now)
    finally:
        await database.close()
