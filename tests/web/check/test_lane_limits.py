"""The lane holds back who sends without reading, and closes who sends too slowly. Time and socket are made up."""

import asyncio
from types import SimpleNamespace
from typing import Any

from uvicorn.server import ServerState

from web.check.desk import CHECK_BATCH
from web.check.lane import SLOW_SECONDS, Lane

REFUSED = b"POST /check HTTP/1.1\r\nHost: portal\r\nContent-Length: 0\r\n\r\n"


class Wire(asyncio.Transport):
    """A socket whose buffer is full after the first write."""

    def __init__(self) -> None:
        super().__init__()
        self.lane: Lane
        self.answers = 0
        self.is_reading_paused = self.is_closed = False

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        self.answers += bytes(data).count(b"HTTP/1.1 401")
        if self.answers == 1:
            self.lane.pause_writing()

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close


class Clock:
    """What the lane uses of an event loop."""

    def __init__(self) -> None:
        self.now = 0.0
        self.look: Any = None

    def time(self) -> float:
        return self.now

    def call_later(self, _delay: float, look: Any) -> Any:
        self.look = look
        return SimpleNamespace(cancel=lambda: None)


def connect() -> tuple[Lane, Wire, Clock]:
    app = SimpleNamespace(state=SimpleNamespace(services=SimpleNamespace(desk=None)))
    config, wire, clock = SimpleNamespace(loaded_app=app), Wire(), Clock()
    wire.lane = Lane(config, ServerState(), {}, clock)  # type: ignore[arg-type]  # made-up ones have what it uses
    wire.lane.connection_made(wire)
    return wire.lane, wire, clock


def test_requests_wait_unread_while_answers_are_not_read() -> None:
    lane, wire, _ = connect()
    lane.data_received(REFUSED * 3)
    assert (wire.answers, wire.is_reading_paused) == (1, True)
    lane.resume_writing()
    assert (wire.answers, wire.is_reading_paused) == (3, False)


def test_a_connection_whose_answers_nobody_reads_is_closed() -> None:
    lane, wire, clock = connect()
    lane.data_received(REFUSED * 2)
    clock.now = SLOW_SECONDS
    clock.look()
    assert wire.is_closed


def test_a_body_that_comes_too_slowly_is_cut_off_however_steadily() -> None:
    lane, wire, clock = connect()
    head = REFUSED.replace(b"/check", CHECK_BATCH.encode()).replace(b"Length: 0", b"Length: 1000")
    lane.data_received(head)
    for _ in range(4):
        clock.now += SLOW_SECONDS / 4
        lane.data_received(b"{")
    clock.look()
    assert wire.is_closed
