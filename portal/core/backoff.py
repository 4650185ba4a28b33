"""How a loop waits: between tries at a neighbour that fails, and for its own end."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

FIRST_SECONDS = 0.1
MAX_SECONDS = 5.0


class Backoff:
    """0.1 s, doubling to 5 s; from the start again after a success."""

    def __init__(self) -> None:
        self.failures = 0

    def reset(self) -> None:
        self.failures = 0

    def next_seconds(self) -> float:
        seconds = min(FIRST_SECONDS * (1 << min(self.failures, 16)), MAX_SECONDS)
        self.failures += 1
        return seconds


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event, but no longer than this."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


async def repeat(work: Callable[[], Awaitable[float]], stop: asyncio.Event, log: Any, trouble: str) -> None:
    """Do it until stopped; it answers after how many seconds it is due again, 0 for at once.

    What it raises is logged under the name `trouble`, and it is tried again after a growing wait.
    """
    backoff = Backoff()
    while not stop.is_set():
        try:
            seconds = await work()
            backoff.reset()
        except Exception as error:
            seconds = backoff.next_seconds()
            log.warning(trouble, error=repr(error), retry_seconds=seconds)
        if seconds:
            await is_set_within(stop, seconds)
