"""Send an exact number of real checks over keep-alive connections, and keep count of what came back.

Nothing is sent twice. A request whose connection breaks counts as refused, though the portal may have counted it; its
connection is opened anew after a short pause, and each failure to open one costs a request too, so a portal that
restarts meanwhile is found again and the run ends after `count` requests in any case.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TextIO

from portal.cli.demo.check_client import CheckAnswer, CheckClient
from portal.core.errors import PortalError

PAUSE_SECONDS = 0.25
GIVE_UP_SECONDS = 60.0
VALID = "VALID"
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


@dataclass(slots=True)
class Report:
    """`refused` counts by HTTP status, or "connection". Latencies in ms; with a rate, from the intended send time."""

    sent: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    duration_seconds: float = 0.0

    @property
    def allowed(self) -> int:
        return self.answered[VALID]

    @property
    def denied(self) -> dict[str, int]:
        return {code: number for code, number in self.answered.most_common() if code != VALID}

    @property
    def answers_per_second(self) -> float:
        return self.answered.total() / self.duration_seconds if self.duration_seconds else 0.0

    def percentile_ms(self, share: float) -> float | None:
        """None without an answer."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


async def send_traffic(traffic: Traffic, advance: Advance, log: TextIO | None = None) -> Report:
    """Raises PortalError when nothing listens at the address.

    A line of `log`: request id, code, cost, and which of the keys it was, by spaces; written as each answer comes.
    """
    await _find_portal(traffic.url)
    run = _Run(traffic, advance, log)
    await asyncio.gather(*[run.work() for _ in range(min(traffic.concurrency, traffic.count))])
    run.report.duration_seconds = perf_counter() - run.started_at
    return run.report


async def _find_portal(url: str) -> None:
    client = CheckClient(url, "")
    try:
        await client.connect()
    except OSError:
        raise PortalError(
            f"No portal answers at {url}.", hint="Start `portal run --demo`, or name the right --url or --ready-file."
        ) from None
    finally:
        client.close()


class _Run:
    """What the connections share: the next number, the report, and when an answer last came."""

    def __init__(self, traffic: Traffic, advance: Advance, log: TextIO | None) -> None:
        self.report = Report()
        self.started_at = perf_counter()
        self._traffic = traffic
        self._advance = advance
        self._log = log
        self._heard_at = self.started_at

    async def work(self) -> None:
        """One connection: take a number, send, note the answer, until the numbers are used up."""
        traffic, report = self._traffic, self.report
        async with CheckClient(traffic.url, traffic.token) as client:
            while report.sent < traffic.count and perf_counter() - self._heard_at < GIVE_UP_SECONDS:
                number = report.sent
                report.sent += 1
                due = await self._due(number)
                which = number % len(traffic.keys)
                resource = RESOURCES[number % len(RESOURCES)]
                try:
                    answer = await client.check({"key": traffic.keys[which], "cost": COST, "resource": resource})
                except OSError:
                    report.refused[NO_CONNECTION] += 1
                    await asyncio.sleep(PAUSE_SECONDS)
                else:
                    self._note(answer, which, due)
                self._advance(1)

    async def _due(self, number: int) -> float:
        """Wait for the intended send time, if there is one."""
        now = perf_counter()
        if self._traffic.rate is None:
            return now
        due = self.started_at + number / self._traffic.rate
        if due > now:
            await asyncio.sleep(due - now)
        self._heard_at = max(self._heard_at, due)
        return due

    def _note(self, answer: CheckAnswer, which: int, due: float) -> None:
        now = self._heard_at = perf_counter()
        if answer.status != 200:
            self.report.refused[str(answer.status)] += 1
            return
        document: dict[str, Any] = answer.document
        self.report.latencies_ms.append((now - due) * 1000)
        self.report.answered[document["code"]] += 1
        if self._log is not None:
            self._log.write(f"{document['requestId']} {document['code']} {COST} {which}\n")
