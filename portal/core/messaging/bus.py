"""The bus: batches and events from those who produce them to those who handle them, at least once.

`publish` returns when the message is safe: for the in-process bus that is when every handler has finished; a broker
answers as soon as it has stored it (portal.core.rabbit). Either way an error means: keep it and publish again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Protocol

from portal.core.errors import Unavailable

Handler = Callable[[bytes], Awaitable[None]]

USAGE_RECORDED = "usage.recorded"
EVENTS = "portal.events"


class Bus(Protocol):
    async def publish(self, subject: str, body: bytes) -> None:
        """Hand over one message; raises when it is not safe with the receiver."""

    def subscribe(self, subject: str, handler: Handler) -> None:
        """Call `handler` with each message of the subject; an error from it keeps the message."""

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver what is subscribed, until stopped."""

    async def waiting(self, subject: str) -> int:
        """How many messages are published and in nobody's hands yet."""


class InProcessBus:
    """Calls the handlers in the caller's task, in the order of their subscription; having none is an error."""

    def __init__(self) -> None:
        self._handlers: dict[str, list[Handler]] = defaultdict(list)

    async def publish(self, subject: str, body: bytes) -> None:
        if subject not in self._handlers:
            raise Unavailable(f"Nobody handles {subject} in this process.")
        for handler in self._handlers[subject]:
            await handler(body)

    def subscribe(self, subject: str, handler: Handler) -> None:
        self._handlers[subject].append(handler)

    async def run(self, stop: asyncio.Event) -> None:
        """Wait for the end: `publish` delivers."""
        await stop.wait()

    async def waiting(self, subject: str) -> int:
        """Return 0: whoever publishes waits for the handlers."""
        return 0
