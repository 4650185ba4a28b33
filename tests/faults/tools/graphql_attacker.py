"""Sends every hostile document of tests/web/attacks again and again: `python -m` this module with JSON.

Says "ready" once each connection was answered, stops when its stdin is closed, and then writes what it saw as JSON.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import httpx2
import msgspec

from tests.web.attacks.documents import documents


@dataclass(frozen=True)
class Attack:
    """`first`: at which document each connection begins is spread over all of them."""

    url: str
    token: str
    connections: int

    def to_json(self) -> str:
        return json.dumps(asdict(self))


async def _hammer(attack: Attack, first: int, stop: asyncio.Event, seen: list[tuple[int, float]]) -> None:
    bodies = [msgspec.json.encode({"query": one.text, "variables": one.variables}) for one in documents()]
    headers = {"Authorization": f"Bearer {attack.token}", "Content-Type": "application/json"}
    async with httpx2.AsyncClient(base_url=attack.url, headers=headers, timeout=30) as client:
        at = first
        while not stop.is_set():
            began = perf_counter()
            answer = await client.post("/graphql", content=bodies[at % len(bodies)])
            seen.append((answer.status_code, (perf_counter() - began) * 1000))
            at += 1
            if at == first + 1:
                sys.stdout.write("ready\n")
                sys.stdout.flush()


async def _attack(attack: Attack) -> dict[str, Any]:
    stop, seen = asyncio.Event(), list[tuple[int, float]]()
    part = len(documents()) // attack.connections
    async with asyncio.TaskGroup() as group:
        for number in range(attack.connections):
            group.create_task(_hammer(attack, number * part, stop, seen))
        await asyncio.to_thread(sys.stdin.read)
        stop.set()
    return {"statuses": Counter(status for status, _ in seen), "times_ms": [taken for _, taken in seen]}


def main(arguments: Sequence[str]) -> None:
    sys.stdout.write(json.dumps(asyncio.run(_attack(Attack(**json.loads(arguments[0]))))))


if __name__ == "__main__":
    main(sys.argv[1:])
