"""Open loop: requests leave by the clock, whatever became of those before; latency counts from the intended time.

So a server that stalls is charged for everyone who would have come meanwhile. One request a connection at a time; a due
request that finds no free connection waits, and its wait counts. The clock is polled without sleeping: a core is its.
"""

import gc
import select
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from urllib.parse import urlsplit

from bench.contender import Sample, WrongAnswers
from bench.over_http import Books
from bench.wrk import Load, run_wrk

SHARE = 0.5
WARM_SHARE = 0.1
PATIENCE_SECONDS = 5.0
QUANTILES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "p999_ms": 0.999, "max_ms": 1.0}


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """`saturation`: what the same server answers in a closed loop, as far as this run knows."""

    name: str
    about: str
    load: Load
    books: Books
    saturation: Callable[[], float | None]
    unit: str = "ms (p50)"

    async def measure(self, seconds: float) -> Sample:
        most = self.saturation() or (await run_wrk(self.load, 1.0)).per_second
        await self.books.balance()
        latencies = sorted(_flood(self.load, most * SHARE, seconds))
        codes, units = await self.books.balance()
        sent = int(most * SHARE * seconds)
        if codes != {"VALID": sent}:
            raise WrongAnswers(f"{self.name}: {sent} answered, journalled {dict(codes)}")
        found = {name: _quantile(latencies, share) * 1000 for name, share in QUANTILES.items()}
        return Sample(found["p50_ms"], {"rate": most * SHARE, "degraded": sent - units, **found})


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _flood(load: Load, rate: float, seconds: float) -> list[float]:
    """Latencies in seconds, without those of the first tenth."""
    parts = urlsplit(load.url)
    requests = [_request(parts.path, load.token, body) for body in load.bodies.read_bytes().splitlines()]
    lines = [_Line(parts.hostname or "", parts.port or 0) for _ in range(load.connections)]
    gc.disable()
    try:
        latencies = _keep_sending(lines, requests, rate, int(rate * seconds))
    finally:
        gc.enable()
        for line in lines:
            line.socket.close()
    return latencies[int(len(latencies) * WARM_SHARE) :]


def _keep_sending(lines: Sequence["_Line"], requests: Sequence[bytes], rate: float, total: int) -> list[float]:
    poll, by_number = select.epoll(), {line.socket.fileno(): line for line in lines}
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    latencies: list[float] = []
    idle, sent = deque(lines), 0
    begin = perf_counter() + 0.01
    patience = begin + total / rate + PATIENCE_SECONDS
    while len(latencies) < total:
        now = perf_counter()
        while idle and sent < total and (due := begin + sent / rate) <= now:
            idle.popleft().ask(requests[sent % len(requests)], due)
            sent += 1
        for number, _ in poll.poll(0):
            line = by_number[number]
            if line.has_answer():
                latencies.append(perf_counter() - line.due)
                idle.append(line)
        if now > patience:
            raise WrongAnswers(f"{total - len(latencies)} of {total} answers never came")
    poll.close()
    return latencies


class _Line:
    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self._data = b""

    def ask(self, request: bytes, due: float) -> None:
        self.due = due
        self._data = b""
        self.socket.sendall(request)

    def has_answer(self) -> bool:
        """Whether it is whole now. Raises WrongAnswers when it is not an admission by Redis."""
        self._data += self.socket.recv(65_536)
        end = self._data.find(b"\r\n\r\n") + 4
        if end < 4:
            return False
        at = self._data.find(b"content-length: ") + 16
        if len(self._data) < end + int(self._data[at : self._data.find(b"\r", at)]):
            return False
        if b'"code":"VALID"' not in self._data:
            raise WrongAnswers(self._data.decode(errors="replace"))
        return True


def _request(path: str, token: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
