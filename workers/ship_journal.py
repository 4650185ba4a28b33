"""Ship what the processes of this node have journalled. See portal.usage.journal.shipper."""

import asyncio
from contextlib import suppress

from portal.core.logs import get_log
from portal.usage import JournalShipper

FAREWELL_SECONDS = 5.0
_log = get_log(__name__)


async def run(shipper: JournalShipper, stop: asyncio.Event) -> None:
    """Until stopped; then once more, so that an orderly end leaves little to the next start."""
    await shipper.run(stop)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await shipper.run_once()
    except Exception as error:
        _log.warning("journal_left_for_next_start", error=repr(error))
    finally:
        shipper.close()
