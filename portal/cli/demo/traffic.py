"""Send an exact number of real checks over keep-alive connections, and keep count of what came back.

Nothing is sent twice. A request whose connection breaks counts as refused, though the portal may have counted it; after
a short pause another connection is opened, and each failure to open one costs a request too, so a portal that restarts
meanwhile is found again and the run ends after `count` requests in any case.

Needs the extra `embedded`, whose HTTP client it uses.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TextIO

import httpx2

from portal.cli.demo.report import Report
from portal.core.errors import PortalError

TIMEOUT_SECONDS = 10.0
PAUSE_SECONDS = 0.25
GIVE_UP_SECONDS = 60.0
NO_CONNECTION = "connection"
COST = 1
RESOURCES = ("GET /v1/search", "GET /v1/items/{id}", "POST /v1/orders", "GET /v1/orders/{id}", "POST /v1/embeddings")

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What to send, and where. `rate` is in checks a second; None: as fast as answers come."""

    url: str
    token: str = field(repr=False)
    keys: tuple[str, ...] = field(repr=False)
    count: int
    concurrency: int
    rate: float | None = None


async def send_traffic(traffic: Traffic, advance: Advance, log: TextIO | None = None) -> Report:
    """Send the checks and return the report. Raises PortalError when nothing answers at the address.

    A line of `log`: request id, code, cost, and which of the keys it was, by spaces; written as each answer comes.
    """
    await _find_portal(traffic.url)
    connections = min(traffic.concurrency, traffic.count)
    run = _Run(traffic, advance, log)
    async with _client(traffic.url, connections) as client:
        await asyncio.gather(*[run.work(client) for _ in range(connections)])
    run.report.duration_seconds = perf_counter() - run.started_at
    return run.report


async def _find_portal(url: str) -> None:
    try:
        async with _client(url, connections=1) as client:
            await client.get("/livez")
    except httpx2.TransportError:
        raise PortalError(
            f"No portal answers at {url}.", hint="Start `portal run --demo`, or name the right --url or --ready-file."
        ) from None


def _client(url: str, connections: int) -> httpx2.AsyncClient:
    """Return a client that holds so many connections open and takes no proxy from the environment."""
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx2.AsyncClient(base_url=url, limits=limits, timeout=TIMEOUT_SECONDS, trust_env=False)


class _Run:
    """What the connections share: the next number, the report, and when an answer last came."""

    def __init__(self, traffic: Traffic, advance: Advance, log: TextIO | None) -> None:
        self.report = Report()
        self.started_at = perf_counter()
        self._traffic = traffic
        self._advance = advance
        self._log = log
        self._answered_at = self.started_at

    async def work(self, client: httpx2.AsyncClient) -> None:
        """Take a number, send, note the answer, one at a time, until the numbers are used up."""
        traffic, report = self._traffic, self.report
        headers = {"Authorization": f"Bearer {traffic.token}"}
        while report.sent < traffic.count and perf_counter() - self._answered_at < GIVE_UP_SECONDS:
            number = report.sent
            report.sent += 1
            due = await self._due(number)
            index = number % len(traffic.keys)
            body = {"key": traffic.keys[index], "cost": COST, "resource": RESOURCES[number % len(RESOURCES)]}
            try:
                answer = await client.post("/check", json=body, headers=headers)
            except httpx2.TransportError:
                report.refused[NO_CONNECTION] += 1
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                self._note(answer, index, due)
            self._advance(1)

    async def _due(self, number: int) -> float:
        """Wait for the intended send time, if there is one."""
        now = perf_counter()
        if self._traffic.rate is None:
            return now
        due = self.started_at + number / self._traffic.rate
        if due > now:
            await asyncio.sleep(due - now)
        self._answered_at = max(self._answered_at, due)
        return due

    def _note(self, answer: httpx2.Response, index: int, due: float) -> None:
        now = self._answered_at = perf_counter()
        if answer.status_code != 200:
            self.report.refused[str(answer.status_code)] += 1
            return
        document: dict[str, Any] = answer.json()
        self.report.latencies_ms.append((now - due) * 1000)
        self.report.answered[document["code"]] += 1
        if self._log is not None:
            self._log.write(f"{document['requestId']} {document['code']} {COST} {index}\n")
