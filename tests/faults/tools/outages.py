"""Neighbours away for a while, and always back again afterwards."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from tests.faults.tools.place import Place


@asynccontextmanager
async def redis_away(place: Place, how: str) -> AsyncIterator[None]:
    """`how`: "frozen" accepts connections and never answers; "killed" refuses them."""
    if how == "frozen":
        with frozen([place.services.valkey_pid]):
            yield
        return
    os.kill(place.services.valkey_pid, signal.SIGKILL)
    try:
        await asyncio.sleep(0.05)
        yield
    finally:
        await place.services.start_valkey()


@asynccontextmanager
async def postgres_away(place: Place, how: str) -> AsyncIterator[None]:
    if how == "frozen":
        postmaster = place.services.postgres_pid
        with frozen([postmaster, *children_of(postmaster)]):
            yield
        return
    await place.services.stop_postgres()
    try:
        yield
    finally:
        await place.services.start_postgres()


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def frozen(pids: Iterable[int]) -> Iterator[None]:
    """SIGSTOP: what is on its way to them waits, and they do it when they go on."""
    pids = [*pids]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
