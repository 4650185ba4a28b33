"""Hear of policy changes by pub/sub. It only spares a round trip: a message that never comes changes no answer."""

import asyncio

from redis.exceptions import RedisError

from portal.check.policy.cache import PolicyCache
from portal.check.policy.invalidate import CHANNEL
from portal.core.outage_log import OutageLog
from portal.core.redis.address import parse_shard
from portal.limits import LimitsUnavailable, listening_client

RETRY_SECONDS = 1.0


async def listen_to_changes(url: str, policies: PolicyCache) -> None:
    """Until cancelled, one shard's messages; reconnects by itself."""
    outage = OutageLog("policy_changes", parse_shard(url).name)
    while True:
        try:
            async with await listening_client(url) as redis:
                subscription = redis.pubsub()
                await subscription.subscribe(CHANNEL)
                async for message in subscription.listen():
                    outage.recovered()
                    _hear(message, policies)
        except (RedisError, OSError, LimitsUnavailable) as error:
            outage.failed(error)
        await asyncio.sleep(RETRY_SECONDS)


def _hear(message: dict[str, object], policies: PolicyCache) -> None:
    data = message.get("data")
    if message.get("type") == "message" and isinstance(data, bytes):
        account_id, _, version = data.decode().partition(" ")
        policies.raise_version(account_id, int(version))
