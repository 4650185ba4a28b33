"""Processes that ask a limiter without pause: `python -m tests.faults.tools.limiter_process JSON`.

Each keeps `concurrent` checks under way. Most ask again at once until they have asked enough. Every fourth process
waits, once denied, for the very instant at which the denial said that there is room, and then asks with all it has: a
burst at the edge; these go on until the others are done. Admissions and a part of the denials are noted with Redis's
own time of the decision and written as a file a process.
"""

import asyncio
import json
import multiprocessing
import sys
from array import array
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import time_ns
from typing import Any

import uvloop

from portal.limits import Decision, Limiter, LimitsUnavailable, Seed, Status
from tests.faults.tools.assault import COSTS, KEYS, PERIOD_US, Units, request_of

DEADLINE_MS = 5000
NOTED_DENIALS = 64
"""One of so many is judged."""
PAUSE_SECONDS = 0.01
FILES = ("admitted", "denied")


@dataclass(frozen=True)
class Assault:
    """`decisions` of each process that asks without pause; `prefix` names the subjects."""

    url: str
    folder: str
    algorithm: str
    prefix: str
    decisions: int
    processes: int = 8
    concurrent: int = 64

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def is_at_edges(self, number: int) -> bool:
        return number % 4 == 3


@dataclass
class Told:
    """What all processes noted, by subject."""

    decisions: int
    failures: int
    admitted: list[list[Units]]
    denied: list[list[Units]]


def read_told(folder: Path) -> Told:
    told = Told(0, 0, [[] for _ in range(KEYS)], [[] for _ in range(KEYS)])
    for file in sorted(folder.glob("*.json")):
        counts = json.loads(file.read_text())
        told.decisions += counts["decisions"]
        told.failures += counts["failures"]
        for name, into in zip(FILES, (told.admitted, told.denied), strict=True):
            for key, at, cost in _triples(file.with_suffix(f".{name}")):
                into[key].append((at, cost))
    return told


def _triples(file: Path) -> Iterator[tuple[int, int, int]]:
    numbers = array("q")
    numbers.frombytes(file.read_bytes())
    return zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)


class Assailant:
    """One process."""

    def __init__(self, plan: Assault, limiter: Limiter, number: int, at_work: Any) -> None:
        self.plan = plan
        self.limiter = limiter
        self.is_at_edges = plan.is_at_edges(number)
        self.asked = self.under_way = 0
        self.denials = self.failures = 0
        self.now_us = time_ns() // 1000
        self.admitted, self.denied = array("q"), array("q")
        self._at_work = at_work
        self._done = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        for number in range(self.plan.concurrent):
            Asking(self, number).ask()
        await self._done
        if not self.is_at_edges:
            with self._at_work.get_lock():
                self._at_work.value -= 1

    def is_over(self) -> bool:
        """Whether to ask no more; the last one that is told so ends the process."""
        is_over = self._at_work.value == 0 if self.is_at_edges else self.asked >= self.plan.decisions
        if is_over and self.under_way == 0 and not self._done.done():
            self._done.set_result(None)
        return bool(is_over)

    def write(self, path: Path) -> None:
        path.with_suffix(".admitted").write_bytes(self.admitted.tobytes())
        path.with_suffix(".denied").write_bytes(self.denied.tobytes())
        counts = {"decisions": self.asked, "failures": self.failures}
        path.with_suffix(".json").write_text(json.dumps(counts))


class Asking:
    """One check at a time, over and over, about all subjects in turn."""

    __slots__ = ("_by", "_cost", "_key", "_turn")

    def __init__(self, by: Assailant, number: int) -> None:
        self._by = by
        self._turn = number

    def ask(self, seed: Seed | None = None) -> None:
        by = self._by
        if by.is_over():
            return
        by.asked += 1
        by.under_way += 1
        if seed is None:
            self._turn += 1
        self._key, self._cost = self._turn % KEYS, COSTS[self._turn // KEYS % len(COSTS)]
        request = request_of(by.plan.algorithm, f"{by.plan.prefix}{self._key}", self._cost, by.now_us)
        if seed is not None:
            request.seed = seed
        by.limiter.decide(request, self._decided)

    def _decided(self, outcome: Decision | LimitsUnavailable) -> None:
        by = self._by
        by.under_way -= 1
        if isinstance(outcome, LimitsUnavailable):
            by.failures += 1
            asyncio.get_running_loop().call_later(PAUSE_SECONDS, self.ask)
            return
        by.now_us = outcome.now_us
        if outcome.status is Status.UNSEEDED:
            self.ask(Seed(1, {str(outcome.now_us // PERIOD_US): 0}))
        elif outcome.status is Status.ADMITTED:
            by.admitted.extend((self._key, outcome.now_us, self._cost))
            self.ask()
        elif outcome.status is Status.STALE:
            self.ask()
        else:
            self._denied(outcome)

    def _denied(self, outcome: Decision) -> None:
        by = self._by
        by.denials += 1
        if by.denials % NOTED_DENIALS == 0:
            by.denied.extend((self._key, outcome.now_us, self._cost))
        if by.is_at_edges and not by.is_over():
            asyncio.get_running_loop().call_later(_until_room_us(outcome) / 1e6, self.ask)
        else:
            self.ask()


def _until_room_us(outcome: Decision) -> int:
    waits = [state.retry_us for state in outcome.states if state.retry_us > 0]
    return max(waits, default=PERIOD_US - outcome.now_us % PERIOD_US)


async def _assail(plan: Assault, number: int, at_work: Any) -> None:
    limiter = Limiter([plan.url], DEADLINE_MS)
    await limiter.open()
    assailant = Assailant(plan, limiter, number, at_work)
    await assailant.run()
    assailant.write(Path(plan.folder) / str(number))
    await limiter.close()


def _child(plan: Assault, number: int, at_work: Any) -> None:
    uvloop.run(_assail(plan, number, at_work))


def main() -> None:
    plan = Assault(**json.loads(sys.argv[1]))
    Path(plan.folder).mkdir()
    forking = multiprocessing.get_context("fork")
    at_work = forking.Value("i", sum(not plan.is_at_edges(number) for number in range(plan.processes)))
    children = [forking.Process(target=_child, args=(plan, number, at_work)) for number in range(plan.processes)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    sys.exit(max(child.exitcode or 0 for child in children))


if __name__ == "__main__":
    main()
