"""Both servers together: started at once, stopped in order, each also alone for tests of faults."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path

from portal.core.embedded import postgres as postgres_server
from portal.core.embedded import valkey as valkey_server
from portal.core.embedded.folder import Endpoint, FolderLock, hold_folder
from portal.core.embedded.postgres import Postgres
from portal.core.embedded.process import in_thread
from portal.core.embedded.valkey import Valkey
from portal.core.errors import StartupError


@dataclass(frozen=True)
class EmbeddedServices:
    """Running servers. The URLs carry passwords, so `repr` leaves them out; they stay the same until `stop`.

    Stopping or starting one server keeps its port, and its data if the services are durable (a Valkey that
    is not durable comes back empty).
    """

    database_url: str = field(repr=False)
    redis_urls: tuple[str, ...] = field(repr=False)
    _postgres: Postgres = field(repr=False)
    _valkey: Valkey = field(repr=False)
    _lock: FolderLock = field(repr=False)

    @property
    def postgres_pid(self) -> int:
        """The postmaster of the last start, also after it ended."""
        return self._postgres.process.pid

    @property
    def valkey_pid(self) -> int:
        return self._valkey.process.pid

    async def start_postgres(self) -> None:
        await self._postgres.start()

    async def stop_postgres(self) -> None:
        await self._postgres.stop()

    async def start_valkey(self) -> None:
        await self._valkey.start()

    async def stop_valkey(self) -> None:
        await self._valkey.stop()

    async def stop(self) -> None:
        """Both in order, by force after a deadline; then the folder is free. Idempotent."""
        await _stop(self._postgres, self._valkey, self._lock)


async def start_services(data: Path, *, durable: bool = True) -> EmbeddedServices:
    """Start PostgreSQL and Valkey on `data`, which is created if need be and held until `stop`.

    `durable=False` is for tests: no syncs, no append-only file. Raises StartupError: folder in use or of
    another version, no server installed, a server that does not come up. A start that fails leaves nothing running.
    """
    data = await in_thread(lambda: data.expanduser().resolve())
    lock = await in_thread(lambda: hold_folder(data))
    postgres, valkey = Postgres(data, durable=durable), Valkey(data, durable=durable)
    try:
        await _both(postgres.open(), valkey.open())
    except OSError as refused:
        await _stop(postgres, valkey, lock)
        raise StartupError(f"The embedded servers cannot start in {data}: {refused}") from refused
    except BaseException:
        await _stop(postgres, valkey, lock)
        raise
    return EmbeddedServices(postgres.url, (valkey.url,), postgres, valkey, lock)


def find_addresses(data: Path) -> tuple[str, tuple[str, ...]] | None:
    """Return the database's and the Redis' URLs, passwords included, of a folder that was started before, if it was."""
    postgres, valkey = data / postgres_server.ENDPOINT, data / valkey_server.ENDPOINT
    if not postgres.exists() or not valkey.exists():
        return None
    database_url = postgres_server.postgres_url(Endpoint.load(postgres))
    return database_url, (valkey_server.valkey_url(Endpoint.load(valkey)),)


async def _stop(postgres: Postgres, valkey: Valkey, lock: FolderLock) -> None:
    try:
        await _both(postgres.close(), valkey.stop())
    finally:
        lock.release()


async def _both(*halves: Awaitable[None]) -> None:
    """Each to its own end, also when the other fails: then nothing starts behind the back of the clean-up."""
    for outcome in await asyncio.gather(*halves, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
