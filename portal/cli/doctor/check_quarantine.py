"""What `portal doctor` says of usage that could not be counted and waits in the quarantine for somebody."""

from sqlalchemy.exc import SQLAlchemyError

from portal.cli.doctor.checks import Finding, State
from portal.core.database import Database
from portal.usage import count_quarantined

WHAT = "quarantine"


async def examine_quarantine(url: str) -> Finding | None:
    """Examine it, after the migrations were found to be the newest. Return None where it is empty."""
    database = Database(url, pool_size=1)
    try:
        async with database.transaction() as tx:
            count = await count_quarantined(tx)
    except (OSError, SQLAlchemyError) as error:
        return Finding(WHAT, State.BAD, f"cannot be read: {type(error).__name__}.", "Check the log-in's rights.")
    finally:
        await database.close()
    if not count:
        return None
    what = "1 entry is" if count == 1 else f"{count:,} entries are"
    return Finding(WHAT, State.DOUBTFUL, f"{what} not counted.", "Look at `portal dlq list`.")
