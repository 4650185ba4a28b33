"""Contenders under load over HTTP: ours with its books checked, the peers and the ceilings without books."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
import msgspec

from bench.contender import Sample, WrongAnswers
from bench.cpu import CpuSpent, Group
from bench.journal_tally import JournalTally
from bench.world import World
from bench.wrk import Load, LoadResult, run_wrk

CLIENT_TIMEOUT_SECONDS = 120
SAMPLES = 20
SETTLE_SECONDS = 0.3
MAX_DEGRADED = 0.001


class Books:
    """What one of our servers has written down: its journal, and the units that Redis counts."""

    def __init__(self, world: World, tally: JournalTally) -> None:
        self._world = world
        self._tally = tally
        self._units = 0

    async def balance(self) -> tuple[Counter[str], int]:
        """Records by code and units in Redis since the last balance."""
        await asyncio.sleep(SETTLE_SECONDS)
        units = await self._world.used_units()
        since, self._units = units - self._units, units
        return await asyncio.to_thread(self._tally.read), since


@dataclass(frozen=True, slots=True)
class OverHttp:
    """`expected` is the code of every answer; `each` is how many checks a request holds; `run` brings the load."""

    name: str
    about: str
    load: Load
    samples: Sequence[Mapping[str, Any]]
    server: Group
    valkey: int | None = None
    books: Books | None = None
    expected: str = "VALID"
    each: int = 1
    unit: str = "checks/s"
    run: Callable[[Load, float], Awaitable[LoadResult]] = run_wrk

    async def measure(self, seconds: float) -> Sample:
        await self._read_samples()
        await self.run(self.load, min(1.0, seconds))
        if self.books is not None:
            await self.books.balance()
        before = CpuSpent.now(self.server, self.valkey)
        result = await self.run(self.load, seconds)
        cpu_spent = CpuSpent.now(self.server, self.valkey).since(before, result.requests * self.each)
        described = {name: value for name, value in msgspec.structs.asdict(result).items() if value is not None}
        details: dict[str, Any] = described | cpu_spent
        if result.refused or result.broken:
            raise WrongAnswers(f"{self.name}: {result.refused} refused, {result.broken} broken")
        if self.books is not None:
            details |= self._verify(result, *await self.books.balance())
        return Sample(result.per_second * self.each, details)

    async def _read_samples(self) -> None:
        """Some answers in full."""
        async with check_client(self.load.token) as client:
            for body in self.samples[:SAMPLES]:
                answer = await client.post(self.load.url, json=body)
                document = answer.json()
                results = document.get("results", [document])
                codes = {result["code"] for result in results}
                is_first_denied = self.expected == "RATE_LIMITED" and codes == {"VALID"}
                if answer.status_code != 200 or (codes != {self.expected} and not is_first_denied):
                    raise WrongAnswers(f"{self.name}: {answer.status_code} {document}")

    def _verify(self, result: LoadResult, codes: Counter[str], units: int) -> dict[str, Any]:
        """The journal has every answer, and no more than what was under way when wrk stopped."""
        answered = result.requests * self.each
        surplus = codes.total() - answered
        wrong = codes.total() - codes[self.expected]
        degraded = codes["VALID"] - units
        details = {
            "journalled": dict(codes),
            "counted_in_redis": units,
            "under_way_at_end": surplus,
            "degraded": degraded,
        }
        if not 0 <= surplus <= self.load.connections * self.each:
            raise WrongAnswers(f"{self.name}: {answered} answered, {codes.total()} journalled")
        if wrong and not (self.expected == "RATE_LIMITED" and set(codes) <= {"RATE_LIMITED", "VALID"}):
            raise WrongAnswers(f"{self.name}: {dict(codes)} where only {self.expected} is right")
        if not 0 <= degraded <= answered * MAX_DEGRADED:
            raise WrongAnswers(f"{self.name}: {codes['VALID']} valid, but Redis counts {units}")
        return details


def check_client(token: str) -> httpx2.AsyncClient:
    """Return a client that sends the service token: for warming up and for samples, not for load."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.AsyncClient(headers=headers, timeout=CLIENT_TIMEOUT_SECONDS, trust_env=False)
