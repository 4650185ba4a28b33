"""Single flight: one look-up at a time for each name, whose answer all concurrent callers share."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

Answer = TypeVar("Answer")


class SingleFlight(Generic[Answer]):
    """The look-ups under way, by name."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, asyncio.Task[Answer]] = {}

    async def run(self, name: Hashable, look_up: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """Return the answer of the look-up of this name that is under way, or begin one.

        A caller that is cancelled does not cancel the look-up for the others.
        """
        task = self._flights.get(name)
        if task is None:
            task = asyncio.create_task(look_up())
            self._flights[name] = task
            task.add_done_callback(lambda done: self._end(name, done))
        return await asyncio.shield(task)

    def _end(self, name: Hashable, task: asyncio.Task[Answer]) -> None:
        """Forget a flight. Whoever waited may have given up: its error is then nobody's to handle."""
        del self._flights[name]
        if not task.cancelled():
            task.exception()
