"""One connection to one Redis shard, subscribed to the channels of the accounts that are watched here."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from redis.exceptions import RedisError

from portal.core.errors import Unavailable
from portal.core.outages.outage_log import OutageLog
from portal.core.redis.address import parse_shard
from portal.graphql.live.key_events import KeyEvent, channel_of, decode
from portal.limits import LimitsUnavailable, subscriber_client

RETRY_SECONDS = 0.5
SILENCE_SECONDS = 5.0
DEAF_SECONDS = 12.0
CONFIRM_SECONDS = 2.0
ALIVE = "live"
"""A channel that nobody writes to: with none at all redis-py would stop listening."""


class Listener:
    """`on_event` hears each event; `on_lost` that some may have been missed. It connects again by itself."""

    def __init__(self, url: str, on_event: Callable[[KeyEvent], None], on_lost: Callable[[], None]) -> None:
        self._url = url
        self._on_event = on_event
        self._on_lost = on_lost
        self._pubsub: Any = None
        self._confirmed: dict[str, asyncio.Future[None]] = {}
        self._wanted: Counter[str] = Counter()
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._outage = OutageLog("key_changes", parse_shard(url).name)

    @property
    def channels(self) -> set[str]:
        return {*self._confirmed}

    def open(self) -> None:
        self._task = asyncio.create_task(self._keep_listening())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def join(self, account_id: str) -> None:
        """Return when the server has confirmed: from then on nothing is missed. Raises Unavailable.

        Every caller of `join` calls `leave`, also after an error.
        """
        name = channel_of(account_id)
        self._wanted[name] += 1
        try:
            async with self._turn:
                if name not in self._confirmed:
                    await self._subscribe(name)
            await asyncio.wait_for(asyncio.shield(self._confirmed[name]), CONFIRM_SECONDS)
        except (RedisError, OSError, TimeoutError, KeyError) as error:
            raise Unavailable("Events cannot be heard now.", hint="Subscribe again in a moment.") from error

    async def leave(self, account_id: str) -> None:
        """Leave the channel; the last one ends it."""
        name = channel_of(account_id)
        self._wanted[name] -= 1
        async with self._turn:
            if self._wanted[name] > 0:
                return
            del self._wanted[name]
            if self._confirmed.pop(name, None) is not None and self._pubsub is not None:
                with suppress(RedisError, OSError):
                    await self._pubsub.unsubscribe(name)

    async def _subscribe(self, name: str) -> None:
        if self._pubsub is None:
            raise RedisError("not connected")
        self._confirmed[name] = asyncio.get_running_loop().create_future()
        await self._pubsub.subscribe(name)

    async def _keep_listening(self) -> None:
        while True:
            try:
                async with await subscriber_client(self._url) as client, client.pubsub() as pubsub:
                    await pubsub.subscribe(ALIVE)
                    self._pubsub = pubsub
                    await self._listen(pubsub)
            except (RedisError, OSError, TimeoutError, LimitsUnavailable) as error:
                self._outage.failed(error)
            finally:
                self._forget()
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self, pubsub: Any) -> None:
        """Listen until the connection ends. Raises a RedisError for a server that says nothing although it is asked."""
        heard_at = monotonic()
        while True:
            message = await pubsub.get_message(timeout=SILENCE_SECONDS)
            if message is not None:
                heard_at = monotonic()
                self._outage.recovered()
                self._hear(message)
            elif monotonic() - heard_at > DEAF_SECONDS:
                raise RedisError("the server hangs")
            else:
                await pubsub.ping()

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            future = self._confirmed.get(message["channel"].decode())
            if future is not None and not future.done():
                future.set_result(None)
        elif message["type"] == "message":
            self._on_event(decode(message["data"]))

    def _forget(self) -> None:
        """Whoever waits for a confirmation finds none; whoever listened is told."""
        self._pubsub = None
        waiting, self._confirmed = self._confirmed, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(RedisError("the connection was lost"))
                future.exception()
        if waiting:
            self._on_lost()
