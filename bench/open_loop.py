"""Open loop: requests leave by the clock, whatever became of those before; latency counts from the intended time.

So a server that stalls is charged for everyone who would have come meanwhile. One request a connection at a time; a due
request that finds no free connection waits, and its wait counts.

Between two requests the generator sleeps, in epoll, until an answer or a timer that is exact to the microsecond. It
used to poll the clock without sleeping: on two cores that took one from the server and Valkey, and as it used up its
share the scheduler made it wait in turn. Measured by turns at half of saturation, medians of four rounds, two cores
with other work (load 4 to 6): p50 0.7 ms and p99 6.8 ms asleep, against 5.4 and 21 polling; at load 8, three rounds:
2.4 and 12 against 11 and 62. Nobody is pinned to a core: pinning the generator alone, or the servers too, gave the
same or worse, and production pins nothing either. How late the generator itself was is told (`sent_late_…`); that is
part of the latencies, never taken off.
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
from bench.timer import Timer
from bench.wrk import Load, run_wrk

SHARE = 0.5
WARM_SHARE = 0.1
TIMEOUT_SECONDS = 5.0
QUANTILES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "p999_ms": 0.999, "max_ms": 1.0}
LATE = {"p50_ms": 0.5, "p99_ms": 0.99}
FAR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Flood:
    """Seconds from the intended time to the answer, and to the sending; without those of the first tenth."""

    latencies: Sequence[float]
    late: Sequence[float]


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
        flood = _flood(self.load, most * SHARE, seconds)
        latencies, late = sorted(flood.latencies), sorted(flood.late)
        codes, units = await self.books.balance()
        sent = int(most * SHARE * seconds)
        if codes != {"VALID": sent}:
            raise WrongAnswers(f"{self.name}: {sent} answered, journalled {dict(codes)}")
        found = {name: _quantile(latencies, share) * 1000 for name, share in QUANTILES.items()}
        found |= {f"sent_late_{name}": _quantile(late, share) * 1000 for name, share in LATE.items()}
        return Sample(found["p50_ms"], {"rate": most * SHARE, "degraded": sent - units, **found})


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _flood(load: Load, rate: float, seconds: float) -> Flood:
    parts = urlsplit(load.url)
    requests = [_request(parts.path, load.token, body) for body in load.bodies.read_bytes().splitlines()]
    lines = [_Line(parts.hostname or "", parts.port or 0) for _ in range(load.connections)]
    total = int(rate * seconds)
    gc.disable()
    try:
        flood = _keep_sending(lines, requests, rate, total)
    finally:
        gc.enable()
        for line in lines:
            line.socket.close()
    warm = int(total * WARM_SHARE)
    return Flood(flood.latencies[warm:], flood.late[warm:])


def _keep_sending(lines: Sequence["_Line"], requests: Sequence[bytes], rate: float, total: int) -> Flood:
    poll, timer, by_number = select.epoll(), Timer(), {line.socket.fileno(): line for line in lines}
    for number in (*by_number, timer.number):
        poll.register(number, select.EPOLLIN)
    latencies: list[float] = []
    late: list[float] = []
    idle, armed = deque(lines), -1
    begin = perf_counter() + 0.01
    patience = begin + total / rate + TIMEOUT_SECONDS
    while len(latencies) < total:
        now = perf_counter()
        while idle and len(late) < total and (due := begin + len(late) / rate) <= now:
            idle.popleft().ask(requests[len(late) % len(requests)], due)
            late.append(now - due)
        next_one = len(late) if idle and len(late) < total else total
        if next_one != armed:
            timer.arm(begin + next_one / rate if next_one < total else now + FAR_SECONDS)
            armed = next_one
        for number, _ in poll.poll(TIMEOUT_SECONDS):
            line = by_number.get(number)
            if line is not None and line.has_answer():
                latencies.append(perf_counter() - line.due)
                idle.append(line)
        if now > patience:
            raise WrongAnswers(f"{total - len(latencies)} of {total} answers never came")
    poll.close()
    timer.close()
    return Flood(latencies, late)


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
