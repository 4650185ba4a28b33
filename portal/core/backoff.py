"""How a loop waits: between tries at a neighbour that fails, and for its own end."""

import asyncio
from contextlib import suppress

FIRST_SECONDS = 0.1
MOST_SECONDS = 5.0


class Backoff:
    """0.1 s, doubling to 5 s; from the start again after a success."""

    def __init__(self) -> None:
        self.failures = 0

    def reset(self) -> None:
        self.failures = 0

    def next_seconds(self) -> float:
        seconds = min(FIRST_SECONDS * (1 << min(self.failures, 16)), MOST_SECONDS)
        self.failures += 1
        return seconds


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event, but no longer than this."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
