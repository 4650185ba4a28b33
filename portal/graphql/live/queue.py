"""A subscriber's queue: a fixed number of items, whatever the reader does."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

from portal.core.errors import PortalError

Item = TypeVar("Item")


class SlowConsumer(PortalError):
    """More happened than was read; the subscription ends."""

    code = "TOO_SLOW"


class BoundedQueue(Generic[Item]):
    """`is_newest_only` replaces what was not read yet; otherwise one item too many ends it with SlowConsumer."""

    def __init__(self, most: int, *, is_newest_only: bool = False) -> None:
        self._items: deque[Item] = deque(maxlen=most if is_newest_only else None)
        self._most = most
        self._is_newest_only = is_newest_only
        self._end: PortalError | None = None
        self._arrived = asyncio.Event()

    def put(self, item: Item) -> None:
        if self._end is not None:
            return
        if not self._is_newest_only and len(self._items) >= self._most:
            self.end(SlowConsumer("More happened than was read.", hint="Read anew, and subscribe again."))
            return
        self._items.append(item)
        self._arrived.set()

    def end(self, error: PortalError) -> None:
        """End the queue: the reader still gets what is queued, then the error."""
        self._end = self._end or error
        self._arrived.set()

    async def take(self) -> Item:
        """Return the oldest item as soon as there is one. Raises the error that the queue was ended with."""
        while not self._items:
            if self._end is not None:
                raise self._end
            self._arrived.clear()
            await self._arrived.wait()
        return self._items.popleft()
