"""What the broker has for a subject: its queue, a queue in which retries wait, and one for what nobody could handle.

    publish -> portal -> <subject> -> handled, acknowledged
                            | failed for a while: published to <subject>.retry, whose time limit sends it back
                            | delivered too often, or given up: portal.dead -> <subject>.dead, kept for the retention

All are quorum queues. Dead-lettering is at-least-once, for which a queue must reject what it cannot take rather than
drop it. The delivery limit is explicit: 4.x would otherwise drop a healthy message after 20 crashed consumers, and
looking into the dead queue counts as a delivery too.
"""

from typing import Any

from aio_pika.abc import AbstractChannel, AbstractConnection, ExchangeType
from aiormq.exceptions import ChannelPreconditionFailed

EXCHANGE = "portal"
DEAD_EXCHANGE = "portal.dead"
DELIVERY_LIMIT = 1_000
READ_LIMIT = 1_000_000
RETRY_DELAY_MS = 15_000
DAY_MS = 86_400_000
_QUORUM = {"x-queue-type": "quorum", "x-overflow": "reject-publish"}


def retry_queue(subject: str) -> str:
    """Return the name of the queue in which retries wait."""
    return f"{subject}.retry"


def dead_queue(subject: str) -> str:
    """Return the name of the queue of dead letters."""
    return f"{subject}.dead"


async def ensure_topology(connection: AbstractConnection, subject: str, retention_days: int) -> None:
    """Declare what the subject needs. Idempotent.

    A dead queue that was declared with another retention stays as it is: see `is_as_declared`.
    """
    async with connection.channel() as channel:
        exchange = await channel.declare_exchange(EXCHANGE, ExchangeType.DIRECT, durable=True)
        await channel.declare_exchange(DEAD_EXCHANGE, ExchangeType.DIRECT, durable=True)
        queue = await channel.declare_queue(subject, durable=True, arguments=_arguments(DELIVERY_LIMIT, DEAD_EXCHANGE))
        await queue.bind(exchange, routing_key=subject)
        waiting = _arguments(READ_LIMIT, EXCHANGE) | {"x-message-ttl": RETRY_DELAY_MS}
        await channel.declare_queue(
            retry_queue(subject), durable=True, arguments=waiting | {"x-dead-letter-routing-key": subject}
        )
    await is_as_declared(connection, subject, retention_days)
    async with connection.channel() as channel:
        dead = await channel.declare_queue(dead_queue(subject), passive=True)
        await dead.bind(DEAD_EXCHANGE, routing_key=subject)


async def is_as_declared(connection: AbstractConnection, subject: str, retention_days: int) -> bool:
    """Declare the dead queue and return whether it has this retention; only deleting it changes another one."""
    arguments: dict[str, Any] = _QUORUM | {"x-delivery-limit": READ_LIMIT}
    if retention_days:
        arguments |= {"x-message-ttl": retention_days * DAY_MS}
    channel: AbstractChannel = connection.channel()
    try:
        async with channel:
            await channel.declare_queue(dead_queue(subject), durable=True, arguments=arguments)
    except ChannelPreconditionFailed:
        return False
    return True


def _arguments(delivery_limit: int, dead_letters_to: str) -> dict[str, Any]:
    return _QUORUM | {
        "x-delivery-limit": delivery_limit,
        "x-dead-letter-exchange": dead_letters_to,
        "x-dead-letter-strategy": "at-least-once",
    }
