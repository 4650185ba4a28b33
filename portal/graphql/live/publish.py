"""Tell every process what happened to keys: from the outbox relay to a channel of the account's Redis shard."""

from portal.core.logs import get_log
from portal.graphql.live.key_events import channel_of, encode, key_event_from
from portal.limits import Limiter, LimitsUnavailable

TIMEOUT_SECONDS = 1.0


class Publisher:
    """A handler of the bus. A Redis that is away keeps nothing from anybody else: who listens there was cut off too."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    async def relayed(self, message: bytes) -> None:
        event = key_event_from(message)
        if event is None:
            return
        connection = self._limiter.shard_of(event.account_id).connection
        try:
            await connection.call(
                "PUBLISH", channel_of(event.account_id), encode(event), timeout_seconds=TIMEOUT_SECONDS
            )
        except LimitsUnavailable as error:
            get_log(__name__).warning("key_change_not_published", account=event.account_id, error=str(error))
