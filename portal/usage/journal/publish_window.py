"""Publishes under way: several at once, since each waits for the broker's disk; confirmed strictly in their order."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

Confirmed = Callable[[], None]


class PublishWindow:
    """At most `most`. What follows a failed one counts as not confirmed, even where the broker has it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._flights: deque[tuple[asyncio.Task[None], Confirmed]] = deque()

    async def add(self, publish: Coroutine[Any, Any, None], confirmed: Confirmed) -> None:
        """Start it, once there is room; `confirmed` is called in its turn. Raises what the oldest one raised."""
        self._flights.append((asyncio.create_task(publish), confirmed))
        while len(self._flights) >= self._most or (self._flights and self._flights[0][0].done()):
            await self._confirm_oldest()

    async def settle(self) -> None:
        """Returns when all are confirmed. Raises what the first that failed raised."""
        while self._flights:
            await self._confirm_oldest()

    async def abandon(self) -> None:
        """Nothing is under way any more, and nothing else will be confirmed. Idempotent."""
        tasks = [task for task, _ in self._flights]
        self._flights.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _confirm_oldest(self) -> None:
        task, confirmed = self._flights[0]
        await asyncio.wait({task})
        self._flights.popleft()
        task.result()
        confirmed()
