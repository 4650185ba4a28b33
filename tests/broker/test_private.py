"""A broker of one's own starts although somebody took one of its ports meanwhile."""

import socket
from pathlib import Path

import pytest

from tests.broker.private import PrivateBroker, answers


@pytest.mark.parametrize("taken", ["amqp", "distribution", "epmd"])
async def test_a_port_that_was_taken_meanwhile_is_left(tmp_path: Path, taken: str) -> None:
    broker = PrivateBroker(tmp_path / "broker")
    before = broker.ports
    with socket.create_server(("127.0.0.1", getattr(before, taken))):
        try:
            await broker.start()
            assert getattr(broker.ports, taken) != getattr(before, taken)
            assert await answers(broker.url)
        finally:
            await broker.stop()


async def test_another_broker_at_the_address_is_not_taken_for_ones_own(amqp_url: str) -> None:
    assert await answers(amqp_url)
    assert not await answers(amqp_url, "portal-somebody-else@localhost")
