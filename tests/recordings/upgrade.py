"""`upgrade --from OLD`: an old portal is killed amid traffic, and a new one goes on in its folder, losing nothing.

Two leftovers are made certain. Ingest waits for a lock on `usage_events` that this tool holds, so the journal holds
records that nobody has counted; relaying waits in a trigger that this tool adds to `outbox` (an advisory lock, free
once the tool's session is gone), so events of committed mutations stay. Then everything is killed at once, servers too.
"""

import asyncio
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.recordings.product import (
    Product,
    connect,
    kill_group,
    kill_servers,
    query,
    run_command,
    running,
    start,
    tell,
)
from tests.recordings.wire import Answer, as_json, ask, request

BEFORE, DURING = 200, 300
"""Checks that are counted before the locks, and at least so many that are answered under them."""
SENDERS = 2
PAUSE_SECONDS = 0.004
DRAIN_SECONDS = 90.0
LOCK = 5_201_314
TRAP = f"""
CREATE FUNCTION recordings_wait() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock_shared({LOCK}); RETURN OLD; END $$;
CREATE TRIGGER recordings_wait BEFORE DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION recordings_wait();
"""
UNITS = "SELECT request_id, cost FROM usage_events WHERE code = 'VALID'"


@dataclass(slots=True)
class Traffic:
    """Checks on two keys by several senders until stopped; `units` by request id of what was VALID."""

    product: Product
    units: dict[str, int] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def begin(self) -> None:
        self.threads = [threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)]
        for thread in self.threads:
            thread.start()

    def end(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def await_count(self, count: int) -> None:
        _await(lambda: len(self.units) >= count, 60, f"{count} checks to be answered VALID")

    def _send(self, number: int) -> None:
        keys = [self.product.ready["keys"][name] for name in ("enterprise", "enterprise", "pro")]
        while not self.stopping.is_set():
            number += 1
            cost = 1 + number % 3
            try:
                answer = check(self.product, {"key": keys[number % 3], "cost": cost, "resource": "GET /v1/upgrade"})
                document = answer.json()
            except (OSError, ValueError):
                continue
            if document.get("code") == "VALID":
                self.units[document["requestId"]] = cost
            time.sleep(PAUSE_SECONDS)


def check(product: Product, body: dict[str, Any]) -> Answer:
    headers = {"Authorization": f"Bearer {product.ready['service_token']}", "Content-Type": "application/json"}
    return ask(product.port, request("POST", "/check", headers, as_json(body)))


def upgrade(old: Path, new: Path) -> int:
    """Print a short report; 1 when something was lost or a command complains."""
    folder = Path(tempfile.mkdtemp(prefix="recordings-upgrade-"))
    data = folder / "data"
    try:
        with ExitStack() as cleanup:
            cleanup.callback(kill_servers, data)
            product = start(old, folder)
            cleanup.callback(kill_group, product.process)
            traffic = Traffic(product)
            cleanup.callback(traffic.end)
            created = asyncio.run(_interrupt(product, traffic))
        with running(new, folder) as product:
            return _examine(product, traffic.units, created)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _interrupt(product: Product, traffic: Traffic) -> list[str]:
    """Traffic, mutations, and the end of it all; returns the ids of the keys that were made under the locks."""
    traffic.begin()
    await asyncio.to_thread(traffic.await_count, BEFORE)
    connection, reader = await connect(product.data), await connect(product.data)
    await connection.execute(TRAP)
    await connection.execute(f"SELECT pg_advisory_lock({LOCK})")
    await connection.execute("BEGIN; LOCK TABLE usage_events IN EXCLUSIVE MODE")
    created = [_create_key(product, f"Upgrade {number}") for number in range(5)]
    _mutate(product, "pauseKey(id: $id)", created[0])
    _mutate(product, "revokeKey(id: $id)", created[1])
    await asyncio.to_thread(traffic.await_count, len(traffic.units) + DURING)
    waiting = await reader.fetchval("SELECT count(*) FROM outbox")
    counted = {row["request_id"] for row in await reader.fetch(UNITS)}
    kill_group(product.process)
    traffic.end()
    kill_servers(product.data)
    left = len(traffic.units.keys() - counted)
    size = sum(path.stat().st_size for path in (product.data / "journal").glob("*.journal"))
    tell(f"killed: {len(traffic.units)} checks answered VALID, {left} of them not counted yet, journal of {size} bytes")
    tell(f"        {waiting} events in the outbox, {len(created)} keys made, one paused, one revoked")
    if not waiting or not left or not size:
        raise SystemExit("the kill left nothing behind, so nothing would be proved")
    return created


def _examine(product: Product, units: dict[str, int], created: list[str]) -> int:
    _await(lambda: not _uncounted(product, units), DRAIN_SECONDS, "the journal to be counted", is_fatal=False)
    _await(
        lambda: query(product.data, "SELECT count(*) FROM outbox")[0][0] == 0,
        DRAIN_SECONDS,
        "the outbox",
        is_fatal=False,
    )
    asyncio.run(_drop_trap(product.data))
    failures = []
    stored = {
        row["request_id"]: row["cost"] for row in query(product.data, f"{UNITS} AND resource = 'GET /v1/upgrade'")
    }
    answered, counted = sum(units.values()), sum(stored.get(name, 0) for name in units)
    unasked = stored.keys() - units.keys()
    tell(f"opened: {counted} units of {answered} answered are counted, {len(unasked)} rows whose answer was cut off")
    if answered != counted or len(unasked) > SENDERS:
        failures.append("units")
    left = query(product.data, "SELECT count(*) FROM outbox")[0][0]
    if left:
        failures.append(f"{left} events in the outbox")
    states = [_mutate(product, None, key_id) for key_id in created]
    tell(f"        keys: {', '.join(states)}")
    if states != ["PAUSED", "REVOKED", *["ACTIVE"] * (len(created) - 2)]:
        failures.append("states of keys")
    for command in (["usage", "audit"], ["audit", "verify"], ["doctor"]):
        code, output, errors = run_command(product.portal, [*command, "--data", str(product.data)], product.folder)
        tell(f"        portal {' '.join(command)}: exit {code}, {(output or errors).strip().splitlines()[-1:]}")
        if code:
            failures.append(f"portal {' '.join(command)}: {output}{errors}")
    tell("\n".join(["FAILED", *failures]) if failures else "nothing was lost")
    return int(bool(failures))


def _uncounted(product: Product, units: dict[str, int]) -> bool:
    return bool(units.keys() - {row["request_id"] for row in query(product.data, UNITS)})


def _create_key(product: Product, name: str) -> str:
    document = f'mutation {{ createKey(input: {{name: "{name}"}}) {{ ... on CreatedKey {{ key {{ id }} }} }} }}'
    return str(_graphql(product, document, {})["createKey"]["key"]["id"])


def _mutate(product: Product, field_text: str | None, key_id: str) -> str:
    """Change the key, or only look; its status afterwards."""
    if field_text is not None:
        _graphql(product, f"mutation A($id: ID!) {{ {field_text} {{ __typename }} }}", {"id": key_id})
    return str(_graphql(product, "query A($id: ID!) { key(id: $id) { status } }", {"id": key_id})["key"]["status"])


def _graphql(product: Product, document: str, variables: dict[str, str]) -> dict[str, Any]:
    token = product.ready["logins"]["developer"]["token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = as_json({"query": document, "variables": variables})
    answer = ask(product.port, request("POST", "/graphql", headers, body)).json()
    if answer.get("errors"):
        raise RuntimeError(f"{document}: {answer['errors']}")
    data: dict[str, Any] = answer["data"]
    return data


async def _drop_trap(data: Path) -> None:
    connection = await connect(data)
    try:
        await connection.execute("DROP TRIGGER recordings_wait ON outbox; DROP FUNCTION recordings_wait()")
    finally:
        await connection.close()


def _await(condition: Callable[[], bool], seconds: float, what: str, *, is_fatal: bool = True) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            if is_fatal:
                raise RuntimeError(f"waited {seconds:.0f} s for {what}")
            tell(f"        waited {seconds:.0f} s in vain for {what}")
            return
        time.sleep(0.2)
