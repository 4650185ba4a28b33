"""One look-up at a time for each name: who asks meanwhile waits for the same answer."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

Answer = TypeVar("Answer")


class SingleFlight(Generic[Answer]):
    def __init__(self) -> None:
        self._flights: dict[Hashable, asyncio.Task[Answer]] = {}

    async def run(self, name: Hashable, look_up: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """A caller that is cancelled does not take the look-up from the others."""
        task = self._flights.get(name)
        if task is None:
            task = asyncio.create_task(look_up())
            self._flights[name] = task
            task.add_done_callback(lambda _: self._flights.pop(name, None))
        return await asyncio.shield(task)
