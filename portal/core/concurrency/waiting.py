"""Await what answers by callback."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def wait_for_callback(start: Callable[[Callable[[Answer | Exception], None]], None]) -> asyncio.Future[Answer]:
    """Call `start` at once with a callback and return a future of what the callback is given.

    An exception given to the callback is raised by awaiting. An answer for which nobody waits any more is dropped.
    """
    future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def complete(answer: Answer | Exception) -> None:
        if future.done():
            return
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    start(complete)
    return future
