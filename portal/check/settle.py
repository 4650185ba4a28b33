"""Settle a check: see portal.usage.settle. PostgreSQL decides; Redis's counter follows."""

import asyncio

from portal.check.request import SettleRequest
from portal.core.database import Database
from portal.core.errors import NotFound
from portal.core.logs import get_log
from portal.limits import Limiter, LimitsUnavailable
from portal.usage import Settlement, settle_usage

PATIENCE_SECONDS = 2.0
STEP_SECONDS = 0.1


async def settle_check(database: Database, limiter: Limiter, request: SettleRequest) -> Settlement:
    """Waits a moment for a check that is still on its way from the journal. Raises NotFound, Conflict."""
    settlement = await _when_ingested(database, request)
    if settlement.added and settlement.is_billable:
        try:
            await limiter.add_used(settlement.account_id, settlement.period, settlement.added)
        except LimitsUnavailable as error:
            get_log(__name__).warning("settlement_not_in_redis", request=request.request_id, error=str(error))
    return settlement


async def _when_ingested(database: Database, request: SettleRequest) -> Settlement:
    for _ in range(int(PATIENCE_SECONDS / STEP_SECONDS)):
        try:
            async with database.transaction() as tx:
                return await settle_usage(tx, request.request_id, request.cost)
        except NotFound:
            await asyncio.sleep(STEP_SECONDS)
    async with database.transaction() as tx:
        return await settle_usage(tx, request.request_id, request.cost)
