"""A worker's loop: how it waits between rounds and after failures, and how its rounds fare, for probes and metrics."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import nan
from time import monotonic, time

from portal.core.logs import first_line, get_log

HUNG_SECONDS = 1800.0
FAILING_SECONDS = 60.0


class Rounds:
    """The rounds of one loop. `succeeded_at` is Unix time, NaN before the first success; the others are monotonic."""

    __slots__ = ("_begun_at", "_failing_since", "failure_count", "succeeded_at")

    def __init__(self) -> None:
        self.succeeded_at = nan
        self.failure_count = 0
        self._begun_at: float | None = None
        self._failing_since: float | None = None

    def begin(self) -> None:
        """Note that a round is under way."""
        self._begun_at = monotonic()

    def succeed(self) -> None:
        """Note that all that was due is done."""
        self.succeeded_at = time()
        self._begun_at = self._failing_since = None

    def fail(self) -> None:
        """Note that a round failed; it is tried again."""
        self.failure_count += 1
        self._begun_at = None
        if self._failing_since is None:
            self._failing_since = monotonic()

    @property
    def is_well(self) -> bool:
        """Return whether it neither hangs in a round nor has failed for a minute."""
        now = monotonic()
        is_hung = self._begun_at is not None and now - self._begun_at > HUNG_SECONDS
        has_failed = self._failing_since is not None and now - self._failing_since > FAILING_SECONDS
        return not (is_hung or has_failed)


ROUNDS: dict[str, Rounds] = {}
"""Of every loop of this process, by the worker's name."""


def rounds_of(name: str) -> Rounds:
    """Return the rounds of a loop, the same ones each time."""
    return ROUNDS.setdefault(name, Rounds())


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
