"""The lane holds back who sends without reading, and closes who sends too slowly. Time and socket are made up."""

import asyncio
from types import SimpleNamespace
from typing import Any

from uvicorn.server import ServerState

from web.check.handler import CHECK_BATCH
from web.check.protocol import CheckProtocol
from web.connection.head import HEADER_LINE
from web.connection.limits import BODY_SECONDS, HEAD_SECONDS, MAX_HEAD_BYTES, WRITE_SECONDS

REFUSED = b"POST /check HTTP/1.1\r\nHost: portal\r\nContent-Length: 0\r\n\r\n"


class Wire(asyncio.Transport):
    """A socket whose buffer is full after the first write."""

    def __init__(self) -> None:
        super().__init__()
        self.lane: CheckProtocol
        self.answers, self.written = 0, b""
        self.is_reading_paused = self.is_closed = self.is_ended = False

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        self.written += bytes(data)
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

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.is_ended = True

    def get_write_buffer_size(self) -> int:
        return 1

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


def connect() -> tuple[CheckProtocol, Wire, Clock]:
    app = SimpleNamespace(state=SimpleNamespace(services=SimpleNamespace(check_handler=None)))
    config, wire, clock = SimpleNamespace(loaded_app=app), Wire(), Clock()
    wire.lane = CheckProtocol(config, ServerState(), {}, clock)  # type: ignore[arg-type]  # made-up ones have what it uses
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
    clock.now = WRITE_SECONDS
    clock.look()
    assert wire.is_closed


def test_a_body_that_comes_too_slowly_is_cut_off_however_steadily() -> None:
    lane, wire, clock = connect()
    head = REFUSED.replace(b"/check", CHECK_BATCH.encode()).replace(b"Length: 0", b"Length: 1000")
    lane.data_received(head)
    for _ in range(4):
        clock.now += BODY_SECONDS / 4
        lane.data_received(b"{")
    clock.look()
    assert b"HTTP/1.1 408 " in wire.written
    assert wire.is_ended


def test_a_stream_of_requests_is_not_taken_for_one_that_is_slow() -> None:
    lane, wire, clock = connect()
    middle = len(REFUSED) // 2
    lane.data_received(REFUSED[:middle])
    for second in range(1, 30):
        clock.now = float(second)
        lane.data_received(REFUSED[middle:] + REFUSED[:middle])
        lane.resume_writing()
        clock.look()
        assert not wire.is_closed
    clock.now += HEAD_SECONDS
    clock.look()
    assert b"HTTP/1.1 408 " in wire.written
    assert wire.is_ended


def test_who_asks_while_the_server_ends_is_not_counted_without_an_answer() -> None:
    asked: list[bytes] = []
    lane, wire, _ = connect()
    lane._handler = SimpleNamespace(
        serve=lambda _path, _token, body, _on_reply: asked.append(body), is_known=lambda _token: True
    )  # type: ignore[assignment]  # what the lane uses of it
    request = (
        b"POST /check HTTP/1.1\r\nHost: portal\r\nAuthorization: Bearer svc\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )
    lane.data_received(request)
    lane.shutdown()
    lane.data_received(request)
    assert (asked, wire.is_closed) == ([b"{}"], False)


def test_a_head_in_one_piece_has_the_same_limit() -> None:
    lane, wire, _ = connect()
    lane.data_received(REFUSED[:-2] + b"X-Long: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n")
    assert wire.is_ended
    assert wire.written.startswith(b"HTTP/1.1 431 ")


def test_a_long_run_of_blanks_takes_linear_time() -> None:
    """Counted, not timed: an expression that tried every split of it would not come back from ten million."""
    line = b"X:" + b" " * 10_000_000
    assert HEADER_LINE.fullmatch(line + b"\x01") is None
    assert HEADER_LINE.fullmatch(line + b"x") is not None
