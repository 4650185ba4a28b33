"""Client processes that hammer a portal: `python -m` this module with JSON, ended by closing its stdin.

The leader imports once and forks another for each line that it reads. Such a process says that it is ready once each of
its connections has had an answer; with one line more all of them begin. Each notes every answer in a file of its own;
instants are CLOCK_MONOTONIC, which all processes of a machine share.
"""

import asyncio
import json
import multiprocessing
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic_ns
from typing import Any, NamedTuple, TextIO

import uvloop

from tests.faults.tools.check_client import CheckClient

CONFIRMATIONS = 5
PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class Plan:
    """Which keys: all in turn; `is_following`: one until it was refused a few times, then that and the next in turn."""

    url: str
    token: str
    keys: list[str]
    folder: str
    processes: int = 1
    connections: int = 2
    is_following: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Noted(NamedTuple):
    """One request. `status` 0: no answer came. `request_id` and `code` are "-" without a decision."""

    sent_ns: int
    heard_ns: int
    status: int
    code: str
    request_id: str
    key: int
    is_degraded: bool
    valid: bool


class Chooser:
    """Which key a connection asks about next.

    A follower also keeps asking about the key before: whoever revokes may hear so only after all have gone on.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._asked = self._at = 0
        self._refused: Counter[int] = Counter()

    def next(self) -> int:
        self._asked += 1
        if not self._plan.is_following:
            return self._asked % len(self._plan.keys)
        return min(max(0, self._at - self._asked % 2), len(self._plan.keys) - 1)

    def note(self, noted: Noted) -> None:
        if noted.status == 200 and not noted.valid:
            self._refused[noted.key] += 1
            if self._refused[noted.key] >= CONFIRMATIONS:
                self._at = noted.key + 1


def read_notes(folder: Path) -> list[Noted]:
    return [
        Noted(int(sent), int(heard), int(status), code, request_id, int(key), degraded == "1", valid == "1")
        for file in sorted(folder.glob("*.notes"))
        for sent, heard, status, code, request_id, key, degraded, valid in map(str.split, file.read_text().splitlines())
    ]


async def _ask(client: CheckClient, plan: Plan, key: int) -> Noted:
    sent = monotonic_ns()
    try:
        answer = await client.check({"key": plan.keys[key]})
    except OSError:
        await asyncio.sleep(PAUSE_SECONDS)
        return Noted(sent, monotonic_ns(), 0, "-", "-", key, is_degraded=False, valid=False)
    heard, body = monotonic_ns(), answer.document
    if answer.status != 200:
        await asyncio.sleep(PAUSE_SECONDS)
        return Noted(sent, heard, answer.status, "-", "-", key, is_degraded=False, valid=False)
    return Noted(sent, heard, 200, body["code"], body["requestId"], key, body["degraded"], body["valid"])


async def _hammer(plan: Plan, go: Any, stop: Any, file: TextIO) -> None:
    async def ask(client: CheckClient, chooser: Chooser) -> int:
        noted = await _ask(client, plan, chooser.next())
        chooser.note(noted)
        file.write(" ".join(str(int(field) if isinstance(field, bool) else field) for field in noted) + "\n")
        return noted.status

    async def work(client: CheckClient, chooser: Chooser) -> None:
        while not stop.is_set():
            await ask(client, chooser)

    connections = [(CheckClient(plan.url, plan.token), Chooser(plan)) for _ in range(plan.connections)]
    first = await asyncio.gather(*[ask(*connection) for connection in connections])
    sys.stdout.write("ready\n" if {*first} == {200} else f"answered {first}\n")
    sys.stdout.flush()
    go.wait()  # on purpose not awaited: the loop has nothing else to do
    await asyncio.gather(*[work(*connection) for connection in connections])
    for client, _ in connections:
        client.close()


def _child(plan: Plan, number: int, go: Any, stop: Any) -> None:
    with (Path(plan.folder) / f"{number}.notes").open("w") as file:
        uvloop.run(_hammer(plan, go, stop, file))


def main(arguments: Sequence[str]) -> None:
    plan = Plan(**json.loads(arguments[0]))
    Path(plan.folder).mkdir()
    forking = multiprocessing.get_context("fork")
    go, stop = forking.Event(), forking.Event()
    children = [forking.Process(target=_child, args=(plan, number, go, stop)) for number in range(plan.processes)]
    for child in children:
        sys.stdin.readline()
        child.start()
    sys.stdin.readline()
    go.set()
    sys.stdin.read()
    stop.set()
    for child in children:
        child.join()


if __name__ == "__main__":
    main(sys.argv[1:])
