"""Ask a shard's Sentinels where its master is. Promotion is theirs; here it is only followed."""

import asyncio
from collections import Counter

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from portal.core.redis.address import HostPort, ShardAddress

TIMEOUT_SECONDS = 0.3


class Sentinels:
    """One a shard and process; its connections stay open between questions."""

    def __init__(self, address: ShardAddress) -> None:
        self._master = address.master or ""
        self._clients = [
            Redis(
                host=host,
                port=port,
                password=address.sentinel_password,
                ssl=address.is_tls,
                ssl_ca_certs=address.ca,
                socket_timeout=TIMEOUT_SECONDS,
                socket_connect_timeout=TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
            for host, port in address.servers
        ]

    async def masters(self) -> Counter[HostPort]:
        """Return how many Sentinels name which server; empty when none of them answers.

        They disagree while a promotion spreads, or when one is cut off, so each is asked, and the most win.
        """
        answers = await asyncio.gather(*[self._ask(client) for client in self._clients])
        return Counter(server for server in answers if server is not None)

    async def close(self) -> None:
        """Close the connections to all Sentinels."""
        await asyncio.gather(*[client.aclose() for client in self._clients])

    async def _ask(self, client: Redis) -> HostPort | None:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                found = await client.sentinel_get_master_addr_by_name(self._master, return_responses=True)
        except (RedisError, OSError, TimeoutError):
            return None
        if not isinstance(found, tuple):
            return None
        host, port = found
        return (host.decode() if isinstance(host, bytes) else str(host)), int(port)
