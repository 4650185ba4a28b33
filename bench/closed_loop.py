"""Send a fixed list of requests over a fixed number of connections, each with one request under way.

wrk stops by the clock; a comparison of CPU time wants the same work each time. This client reads of an answer its
length, its status and its codes, and costs about what wrk costs twice over: it is no measure of throughput.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from bench.contender import WrongAnswers

TIMEOUT_SECONDS = 120.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CODE = re.compile(rb'"code": ?"([A-Z_]+)"')
_DEGRADED = re.compile(rb'"degraded": ?true')


@dataclass(slots=True)
class Answers:
    """How often each code was answered; `degraded` without Redis."""

    codes: Counter[str] = field(default_factory=Counter)
    degraded: int = 0


def encode_request(path: str, token: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class ClosedLoop:
    """Open connections to one server. A context manager."""

    def __init__(self, url: str, connections: int) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._connections = connections
        self._open: list[_Connection] = []

    async def __aenter__(self) -> "ClosedLoop":
        loop = asyncio.get_running_loop()
        for _ in range(self._connections):
            _, connection = await loop.create_connection(_Connection, *self._address)
            self._open.append(connection)
        return self

    async def __aexit__(self, *_error: object) -> None:
        for connection in self._open:
            connection.close()

    async def send(self, requests: Sequence[bytes]) -> Answers:
        """Return what was answered to all of them. Raises WrongAnswers for another status than 200, OSError."""
        answers, waiting = Answers(), iter(requests)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await asyncio.gather(*[connection.send_all(waiting, answers) for connection in self._open])
        return answers


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: Iterator[bytes] = iter(())
        self._answers = Answers()
        self._done: asyncio.Future[None] | None = None
        self._buffer = b""

    def send_all(self, waiting: Iterator[bytes], answers: Answers) -> asyncio.Future[None]:
        """Take requests off `waiting`, which other connections share, until it is empty."""
        self._waiting, self._answers = waiting, answers
        self._done = asyncio.get_running_loop().create_future()
        self._send_next(self._done)
        return self._done

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n") + 4
        length = _LENGTH.search(self._buffer, 0, end)
        if end < 4 or self._done is None or (length and len(self._buffer) < end + int(length[1])):
            return
        answer, self._buffer = self._buffer, b""
        if not length or not answer.startswith(b"HTTP/1.1 200 "):
            self._fail(self._done, WrongAnswers(answer[:500].decode(errors="replace")))
            return
        self._answers.codes.update(code.decode() for code in _CODE.findall(answer, end))
        self._answers.degraded += len(_DEGRADED.findall(answer, end))
        self._send_next(self._done)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done is not None:
            self._fail(self._done, exc or ConnectionResetError("the server closed the connection"))

    def _send_next(self, done: asyncio.Future[None]) -> None:
        request = next(self._waiting, None)
        if request is not None and self._transport is not None:
            self._transport.write(request)
        elif not done.done():
            done.set_result(None)

    def _fail(self, done: asyncio.Future[None], error: Exception) -> None:
        if not done.done():
            done.set_exception(error)
