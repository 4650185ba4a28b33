"""Ship the journal: what the processes of this node have written goes to the bus. See portal.usage.journal."""

import asyncio
from contextlib import suppress

from portal.core.logs import get_log
from portal.usage import JournalShipper

LAST_ROUND_SECONDS = 5.0
_log = get_log(__name__)


async def run(shipper: JournalShipper, stop: asyncio.Event) -> None:
    """Ship until stopped; then once more, so that an orderly end leaves little to the next start."""
    await shipper.run(stop)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_ROUND_SECONDS):
                await shipper.run_once()
    except Exception as error:
        _log.warning("journal_left_for_next_start", error=repr(error))
    finally:
        shipper.close()
