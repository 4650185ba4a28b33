"""SIGTERM: say first that this process is not ready, go on serving, and stop when the balancers have heard it."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from portal.core.logs import get_log
from web.connection.budget import ConnectionBudget

_log = get_log(__name__)


@contextmanager
def drain_before_stop(budget: ConnectionBudget, seconds: int) -> Iterator[None]:
    """Delay what SIGTERM did so far by `seconds`, in which readiness says no. Ctrl-C does not wait.

    A second SIGTERM shortens nothing: a service manager sends one to each process, and so does our parent.
    """
    loop = asyncio.get_running_loop()
    stop = signal.getsignal(signal.SIGTERM)

    def begin(number: int, frame: FrameType | None) -> None:
        if not budget.is_draining:
            budget.is_draining = True
            loop.call_soon_threadsafe(wait)

    def wait() -> None:
        _log.info("stopping", drain_seconds=seconds, connections=len(budget))
        loop.call_later(seconds, end)

    def end() -> None:
        if callable(stop):
            stop(signal.SIGTERM, None)

    signal.signal(signal.SIGTERM, begin)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, stop)
        if not budget.is_draining:
            _log.info("stopping", drain_seconds=0, connections=len(budget))
