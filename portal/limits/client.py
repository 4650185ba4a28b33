"""A redis-py client of a shard, for everything but checks: subscribing to messages, examining servers."""

from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from portal.core.redis.address import parse_shard
from portal.limits.redis_link import LimitsUnavailable
from portal.limits.sentinels import Sentinels

CONNECT_TIMEOUT_SECONDS = 2.0


async def subscriber_client(url: str) -> Redis:
    """Return a client for subscriptions: it waits without a time limit, and fails at once when its server is away.

    Raises LimitsUnavailable.
    """
    return await shard_client(
        url, socket_timeout=None, socket_connect_timeout=CONNECT_TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 0)
    )


async def shard_client(url: str, **options: Any) -> Redis:
    """Return a client of the server that is the shard's master now; the caller closes it. Raises LimitsUnavailable.

    `options` are Redis's own. A promotion is not followed: ask for another client.
    """
    address = parse_shard(url)
    host, port = address.servers[0]
    if address.master is not None:
        sentinels = Sentinels(address)
        try:
            votes = await sentinels.masters()
        finally:
            await sentinels.close()
        if not votes:
            raise LimitsUnavailable(f"no Sentinel of {address.name} says where its master is")
        host, port = votes.most_common(1)[0][0]
    return Redis(
        host=host,
        port=port,
        username=address.user,
        password=address.password,
        db=address.database,
        ssl=address.is_tls,
        ssl_ca_certs=address.ca,
        **options,
    )
