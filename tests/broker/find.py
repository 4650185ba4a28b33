"""Which RabbitMQ the tests use: PORTAL_TEST_AMQP_URL, else one that is here, else a private one.

Where PORTAL_TEST_RABBITMQ_ROOT names another system, always a private one from there: its version is what is tested.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.broker.private import IS_HERE, PrivateBroker, answers, server_script

VARIABLE = "PORTAL_TEST_AMQP_URL"
LOCAL = "amqp://guest:guest@127.0.0.1:5672/"
MISSING = f"""These tests need RabbitMQ 3.10 or newer. Either
  set {VARIABLE} to one that they may use (they declare and empty queues of their own names),
  or install the package rabbitmq-server (tests/install_broker.sh does so on Debian, as root)."""


@asynccontextmanager
async def running_broker(folder: Path) -> AsyncIterator[str]:
    """Its address. A private one lives in `folder` and is gone afterwards. Raises RuntimeError where there is none."""
    named = os.environ.get(VARIABLE)
    if IS_HERE and named:
        if not await answers(named):
            raise RuntimeError(f"{VARIABLE} is set, but no RabbitMQ there lets us in.")
        yield named
    elif IS_HERE and await answers(LOCAL):
        yield LOCAL
    else:
        async with private_broker(folder) as broker:
            yield broker.url


@asynccontextmanager
async def private_broker(folder: Path) -> AsyncIterator[PrivateBroker]:
    """One that may be killed. Raises RuntimeError where the package is missing."""
    if server_script() is None:
        raise RuntimeError(MISSING)
    broker = PrivateBroker(folder)
    try:
        await broker.start()
        yield broker
    finally:
        await broker.stop()
