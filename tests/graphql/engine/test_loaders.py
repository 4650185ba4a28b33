"""Fields that wait for one loading: who is cancelled takes it from no other, and what all have left ends unseen."""

import asyncio
import gc
from contextlib import suppress
from typing import Any

from portal.graphql.engine.loaders import Shared


class Slow:
    """Loads when it may, and fails if it shall; two fields want the same."""

    def __init__(self, error: Exception | None = None) -> None:
        self.loads = 0
        self.may_end = asyncio.Event()
        self._error = error
        self._began = asyncio.Event()
        self.loader = Shared[str, str](self._load)

    async def begin(self) -> list[asyncio.Task[str]]:
        waiters = [asyncio.create_task(self.wait()) for _ in range(2)]
        await self._began.wait()
        return waiters

    async def wait(self) -> str:
        return await self.loader.load("a")

    async def _load(self, keys: list[str]) -> list[str]:
        self.loads += 1
        self._began.set()
        await self.may_end.wait()
        if self._error is not None:
            raise self._error
        return [key.upper() for key in keys]


async def cancel(task: asyncio.Task[str]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_the_second_gets_its_value_though_the_first_is_cancelled() -> None:
    slow = Slow()
    first, second = await slow.begin()
    await cancel(first)
    slow.may_end.set()
    assert await second == "A"
    assert slow.loads == 1


async def test_what_all_have_left_goes_on_and_whoever_comes_later_shares_it() -> None:
    """A statement cut off in its middle would cost the connection; the transaction waits for its end instead."""
    slow = Slow()
    for waiter in await slow.begin():
        await cancel(waiter)
    later = asyncio.create_task(slow.wait())
    slow.may_end.set()
    assert await later == "A"
    assert slow.loads == 1


async def test_what_fails_after_all_have_left_is_nobodys_error() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    slow = Slow(ValueError("too late"))
    for waiter in await slow.begin():
        await cancel(waiter)
    slow.may_end.set()
    for _ in range(3):
        await asyncio.sleep(0)
    del slow, waiter
    gc.collect()
    assert told == []
