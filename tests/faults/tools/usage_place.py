"""A whole way of usage that may be broken anywhere: servers, broker, portal, workers and feeders of its own."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic

from sqlalchemy import text

from portal.accounts import create_service_token
from portal.core.actor import SYSTEM
from portal.core.embedded import start_services
from portal.core.ids import new_id
from portal.core.messaging.bus import USAGE_RECORDED
from portal.core.rabbit import BrokerStatus
from portal.runtime import open_container, prepare_database
from tests.broker.find import private_broker
from tests.broker.private import PrivateBroker
from tests.cli.demo_portal import PORTAL, PROJECT, portal_environment
from tests.conftest import settings_for
from tests.faults.tools.feeder import Feed, FeedNote, read_feed_notes
from tests.faults.tools.place import Place
from tests.faults.tools.processes import STOP_SECONDS, Served

DRAIN_SECONDS = 180.0
SPREAD_SECONDS = 2.0
WORKERS = {
    "shipping": ("ship_journal", "relay_outbox", "keep_partitions"),
    "one": ("ingest_usage",),
    "two": ("ingest_usage",),
}
_COUNTED = text("""
SELECT count(*) AS whole, count(*) FILTER (WHERE request_id <= :last) AS noted
FROM usage_events WHERE account_id = :account
""")


@dataclass
class UsagePlace:
    """`kills` counts what was killed, by name."""

    folder: Path
    place: Place
    broker: PrivateBroker
    served: Served
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    feeders: list[subprocess.Popen[bytes]] = field(default_factory=list)
    kills: dict[str, int] = field(default_factory=dict)

    @property
    def notes(self) -> Path:
        return self.folder / "notes"

    def start_worker(self, name: str) -> None:
        with (self.folder / f"worker-{name}.log").open("ab") as log:
            self.workers[name] = subprocess.Popen(
                [*PORTAL, "worker", *WORKERS[name]],
                cwd=PROJECT,
                env=portal_environment() | self.served.settings,
                stdout=log,
                stderr=log,
            )

    def start_feeder(self, rate: int, most: int, portion: int = 20) -> None:
        feed = Feed(
            folder=f"{self.served.settings['PORTAL_DATA']}/journal",
            notes=str(self.notes),
            account_id=new_id("acct"),
            rate=rate,
            portion=portion,
            most=most,
            stop=str(self.folder / "stop"),
        )
        command = [sys.executable, "-m", "tests.faults.tools.feeder", feed.to_json()]
        self.feeders.append(subprocess.Popen(command, cwd=PROJECT, env=portal_environment()))

    async def kill_worker(self, name: str) -> None:
        await _kill(self.workers[name])
        self._note("shipper" if name == "shipping" else "ingest worker")
        self.start_worker(name)

    async def kill_feeder(self, rate: int, most: int) -> None:
        """One of them, as a server process dies; another one takes its place."""
        await _kill(self.feeders.pop(0))
        self._note("journalling process")
        self.start_feeder(rate, most)

    async def kill_server(self) -> None:
        children = self.served.children()
        self.served.kill_children([children[self.kills.get("API process", 0) % len(children)]] if children else [])
        self._note("API process")

    async def kill_broker(self) -> None:
        await self.broker.kill()
        self._note("RabbitMQ")
        await self.broker.start()

    async def kill_postgres(self) -> None:
        os.kill(self.place.services.postgres_pid, signal.SIGKILL)
        self._note("PostgreSQL")
        await self.place.services.start_postgres()

    async def kill_redis(self) -> None:
        os.kill(self.place.services.valkey_pid, signal.SIGKILL)
        self._note("Redis")
        await self.place.services.start_valkey()

    async def await_fed(self, events: int) -> None:
        """Until so many records are journalled for sure."""
        while (fed := sum(note.records for note in read_feed_notes(self.notes))) < events:
            assert all(feeder.poll() is None for feeder in self.feeders), f"only {fed} were fed"
            await asyncio.sleep(0.5)

    async def stop_feeding(self) -> list[FeedNote]:
        (self.folder / "stop").touch()
        for feeder in self.feeders:
            await asyncio.to_thread(feeder.wait, STOP_SECONDS)
        return read_feed_notes(self.notes)

    async def await_counted(self, noted: list[FeedNote], portion: int = 20) -> float:
        """Until all that was noted is counted; returns the seconds. No more than was about to be noted ever is."""
        begin = monotonic()
        while lacking := [note for note in noted if not await self._is_counted(note, portion)]:
            assert monotonic() - begin < DRAIN_SECONDS, f"of {len(lacking)} feeders usage is missing: {lacking[:3]}"
            await asyncio.sleep(0.25)
        return monotonic() - begin

    async def await_quiet(self) -> BrokerStatus:
        """Until no message is on its way: what is in the dead queue remains."""
        broker = self.place.parts.broker
        assert broker is not None
        begin = monotonic()
        while True:
            status = await broker.status(USAGE_RECORDED)
            if not status.waiting and not status.retrying:
                return status
            assert monotonic() - begin < DRAIN_SECONDS, status
            await asyncio.sleep(0.25)

    async def stop(self) -> None:
        (self.folder / "stop").touch()
        await self.served.stop()
        for process in (*self.feeders, *self.workers.values()):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in (*self.feeders, *self.workers.values()):
            await asyncio.to_thread(process.wait, STOP_SECONDS)

    async def _is_counted(self, note: FeedNote, portion: int) -> bool:
        async with self.place.parts.database.transaction() as tx:
            row = (await tx.execute(_COUNTED, {"account": note.account_id, "last": note.last_id})).one()
        assert row.noted <= note.records, f"{note}: {row.noted} counted"
        assert row.whole <= note.records + portion, f"{note}: {row.whole} counted"
        return bool(row.noted == note.records)

    def _note(self, name: str) -> None:
        self.kills[name] = self.kills.get(name, 0) + 1


@asynccontextmanager
async def open_usage_place(folder: Path) -> AsyncIterator[UsagePlace]:
    """Two servers, a shipper and two ingest workers; everything is gone afterwards."""
    (folder / "notes").mkdir()
    async with private_broker(folder / "broker") as broker:
        services = await start_services(folder / "services")
        try:
            await prepare_database(services.database_url)
            amqp = {"PORTAL_AMQP_URL": broker.url}
            settings = settings_for(services, folder / "test-process", amqp_url=broker.url)
            async with open_container(settings) as parts:
                async with parts.database.transaction() as tx:
                    token = (await create_service_token(tx, SYSTEM, "gateway")).token
                place = Place(services, parts, token)
                served = Served(folder, _places(place, folder) | amqp, token)
                world = UsagePlace(folder, place, broker, served)
                try:
                    for name in WORKERS:
                        world.start_worker(name)
                    await served.start_server()
                    yield world
                finally:
                    await world.stop()
        finally:
            await services.stop()


def _places(place: Place, folder: Path) -> dict[str, str]:
    return {
        "PORTAL_DATABASE_URL": place.services.database_url,
        "PORTAL_REDIS_URLS": ",".join(place.services.redis_urls),
        "PORTAL_DATA": str(folder / "data"),
        "PORTAL_CHECK_DEADLINE_MS": "1000",
    }


async def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    await asyncio.to_thread(process.wait, STOP_SECONDS)


async def all_in_a_while(draw: Random, *acts: Callable[[], Awaitable[None]]) -> None:
    """Each after a moment of its own, so that their outages overlap differently every time."""

    async def later(act: Callable[[], Awaitable[None]], seconds: float) -> None:
        await asyncio.sleep(seconds)
        await act()

    await asyncio.gather(*[later(act, draw.random() * SPREAD_SECONDS) for act in acts])
