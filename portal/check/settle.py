"""Settle a check: see portal.usage.periods.settle. PostgreSQL decides; Redis's counter follows.

It is told at once and again from the outbox, which waits for a Redis that is away; the second time changes nothing.
"""

import asyncio

import msgspec

from portal.check.request import SettleRequest
from portal.core.bus import Handler
from portal.core.database import Database
from portal.core.errors import NotFound
from portal.core.logs import get_log
from portal.limits import Limiter, LimitsUnavailable, Settled
from portal.usage import Settlement, UsageSettled, settle_usage

TIMEOUT_SECONDS = 2.0
STEP_SECONDS = 0.1


async def settle_check(database: Database, limiter: Limiter, request: SettleRequest) -> Settlement:
    """Waits a moment for a check that is still on its way from the journal. Raises NotFound, Conflict."""
    settlement = await _when_ingested(database, request)
    if settlement.added and settlement.is_billable:
        try:
            await limiter.add_used(
                Settled(
                    settlement.account_id, request.request_id, settlement.period, settlement.added, settlement.settled
                )
            )
        except LimitsUnavailable as error:
            get_log(__name__).warning("settlement_not_in_redis_yet", request=request.request_id, error=str(error))
    return settlement


def relayed_settlements(limiter: Limiter) -> Handler:
    """The outbox's events; others are none of ours. Raises LimitsUnavailable: then it is relayed again."""

    async def relayed(message: bytes) -> None:
        event = msgspec.json.decode(message)
        if event["type"] == UsageSettled.wire_type:
            await limiter.add_used(msgspec.convert(event["body"], Settled))

    return relayed


async def _when_ingested(database: Database, request: SettleRequest) -> Settlement:
    for _ in range(int(TIMEOUT_SECONDS / STEP_SECONDS)):
        try:
            async with database.transaction() as tx:
                return await settle_usage(tx, request.request_id, request.cost)
        except NotFound:
            await asyncio.sleep(STEP_SECONDS)
    async with database.transaction() as tx:
        return await settle_usage(tx, request.request_id, request.cost)
