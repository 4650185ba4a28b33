"""Settle a check: see portal.usage.periods.settle. PostgreSQL decides; Redis's counter follows.

Redis gets it at once and again from the outbox, which waits for a Redis that is away; a repetition changes nothing.
"""

import asyncio

import msgspec

from portal.check.request import SettleRequest
from portal.core.database import Database
from portal.core.errors import NotFound
from portal.core.logs import get_log
from portal.core.messaging.bus import Handler
from portal.limits import Limiter, LimitsUnavailable, QuotaCorrection
from portal.usage import Settlement, UsageSettled, settle_usage

INGEST_TIMEOUT_SECONDS = 2.0
INGEST_POLL_SECONDS = 0.1


async def settle_check(database: Database, limiter: Limiter, request: SettleRequest) -> Settlement:
    """Settle a check, waiting a moment for one that is still on its way from the journal. Raises NotFound, Conflict."""
    settlement = await _settle_once_ingested(database, request)
    if settlement.added and settlement.is_billable:
        try:
            await limiter.add_used(
                QuotaCorrection(
                    settlement.account_id, request.request_id, settlement.period, settlement.added, settlement.settled
                )
            )
        except LimitsUnavailable as error:
            get_log(__name__).warning("settlement_not_in_redis_yet", request=request.request_id, error=str(error))
    return settlement


def build_settlement_handler(limiter: Limiter) -> Handler:
    """Build what tells Redis of the outbox's settlements again; other events are left alone.

    The handler raises LimitsUnavailable: then the event is relayed again.
    """

    async def handle(message: bytes) -> None:
        event = msgspec.json.decode(message)
        if event["type"] == UsageSettled.wire_type:
            await limiter.add_used(msgspec.convert(event["body"], QuotaCorrection))

    return handle


async def _settle_once_ingested(database: Database, request: SettleRequest) -> Settlement:
    for _ in range(int(INGEST_TIMEOUT_SECONDS / INGEST_POLL_SECONDS)):
        try:
            async with database.transaction() as tx:
                return await settle_usage(tx, request.request_id, request.cost)
        except NotFound:
            await asyncio.sleep(INGEST_POLL_SECONDS)
    async with database.transaction() as tx:
        return await settle_usage(tx, request.request_id, request.cost)
