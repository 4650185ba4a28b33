"""How a loop waits: between tries at a dependency that fails, for its next round, and for its end."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from portal.core.concurrency.rounds import rounds_of
from portal.core.logs import first_line, get_log

FIRST_SECONDS = 0.1
MAX_SECONDS = 5.0
_log = get_log(__name__)


class Backoff:
    """Pauses of 0.1 s, doubling to 5 s; from the start again after a success."""

    def __init__(self) -> None:
        self.failures = 0

    def reset(self) -> None:
        """Forget the failures, after a success."""
        self.failures = 0

    def next_seconds(self) -> float:
        """Count a failure and return the pause after it."""
        seconds = min(FIRST_SECONDS * (1 << min(self.failures, 16)), MAX_SECONDS)
        self.failures += 1
        return seconds


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event, but no longer than this. Returns whether it is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


async def every(seconds: float, work: Callable[[], Awaitable[float | None]], name: str, stop: asyncio.Event) -> None:
    """Call `work` every `seconds` until stopped: the loop of a worker, under whose `name` failures are logged.

    It may return another number of seconds until it is due again, 0 for at once. After an exception it is called again
    after a growing pause.
    """
    backoff, rounds = Backoff(), rounds_of(name)
    while not stop.is_set():
        rounds.begin()
        try:
            due_in = await work()
            pause = seconds if due_in is None else due_in
            backoff.reset()
            rounds.succeed()
        except Exception as error:
            rounds.fail()
            pause = backoff.next_seconds()
            _log.warning("worker_retrying", worker=name, error=first_line(error), retry_seconds=pause)
        if pause:
            await is_set_within(stop, pause)
