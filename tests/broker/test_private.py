"""A broker of one's own starts although somebody took one of its ports meanwhile."""

import socket
from contextlib import ExitStack
from pathlib import Path

from tests.broker.private import PrivateBroker, answers


async def test_ports_that_were_taken_meanwhile_are_left(tmp_path: Path) -> None:
    broker = PrivateBroker(tmp_path / "broker")
    before = broker.ports
    with ExitStack() as taken:
        for port in before:
            taken.enter_context(socket.create_server(("127.0.0.1", port)))
        try:
            await broker.start()
            assert not {*broker.ports} & {*before}
            assert await answers(broker.url)
        finally:
            await broker.stop()


async def test_another_broker_at_the_address_is_not_taken_for_ones_own(amqp_url: str) -> None:
    assert await answers(amqp_url)
    assert not await answers(amqp_url, "portal-somebody-else@localhost")
