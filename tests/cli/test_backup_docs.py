"""The backup guide of docs/operations.md: its commands run as they stand there, and bring everything back."""

import os
import re
import shlex
import subprocess
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url

from portal import accounts, keys
from portal.core.actor import Actor, Role
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.embedded.binaries import find_postgres
from portal.core.ids import AccountId, new_id
from portal.usage import IngestBatcher, encode_batch
from tests.cli.demo_portal import PROJECT, run_portal
from tests.usage.sample import records

GUIDE = (PROJECT / "docs/operations.md").read_text().partition("## Backup and restore")[2].partition("\n## ")[0]
BACK_UP = re.findall(r"^pg_dump.*$", GUIDE, re.MULTILINE)
RESTORE = re.findall(r"`((?:psql|pg_restore) [^`]+)`", GUIDE)
TABLES = text("""
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = 'public' ORDER BY 1
""")
EVENTS = 50


async def _raise_nothing(account_id: str, period: str, used: int, settled: int) -> None:
    """No quota has a part in this."""


async def fill(database: Database) -> None:
    async with database.transaction() as tx:
        new = accounts.NewAccount(f"{new_id('t').lower()}@example.com", "correct horse battery", "Ann", "Acme")
        person, account = await accounts.sign_up(tx, new)
        owner = Actor("person", person.id, AccountId(account.id), role=Role.OWNER)
        await keys.create_key(tx, owner, keys.NewKey(name="one"))
    batch = encode_batch(records(EVENTS, account_id=account.id))
    await IngestBatcher(database, _raise_nothing).add(batch)


async def count_rows(database: Database) -> dict[str, int]:
    async with database.owner_connection() as connection:
        tables = (await connection.execute(TABLES)).scalars().all()
        return {name: (await connection.execute(text(f"SELECT count(*) FROM {name}"))).scalar_one() for name in tables}


def run(commands: list[str], database: Database, folder: Path) -> None:
    """As a superuser of the server does who has set PGHOST and the like; `portal` is this test's database."""
    url = make_url(database.url)
    environment = {
        "PATH": f"{find_postgres(None, None).folder}{os.pathsep}{os.environ['PATH']}",
        "PGHOST": str(url.host),
        "PGPORT": str(url.port),
        "PGUSER": str(url.username),
        "PGPASSWORD": str(url.password),
        "PGDATABASE": "postgres",
    }
    for command in commands:
        words = [str(url.database) if word == "portal" else word for word in shlex.split(command.partition(" >")[0])]
        target = command.partition("> ")[2]
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, (command, done.stderr.decode())
        if target:
            (folder / target).write_bytes(done.stdout)


async def test_a_dump_brings_everything_back(
    own: Database, services: EmbeddedServices, where: dict[str, str], tmp_path: Path
) -> None:
    assert [command.split()[0] for command in BACK_UP] == ["pg_dumpall", "pg_dump"]
    assert [command.split()[0] for command in RESTORE] == ["psql", "pg_restore"]
    await fill(own)
    before = await count_rows(own)
    run(BACK_UP, own, tmp_path)
    assert "CREATE ROLE portal_app" in (tmp_path / "roles.sql").read_text()
    await own.engine.dispose()
    server = Database(services.database_url)
    async with server.owner_connection() as connection:
        await connection.execute(text(f"DROP DATABASE {make_url(own.url).database} WITH (FORCE)"))
    await server.close()
    run(RESTORE, own, tmp_path)
    assert await count_rows(own) == before
    assert before["public.accounts"] > 0
    for command in (("migrate",), ("doctor",), ("usage", "audit"), ("audit", "verify"), ("restore", "finish")):
        code, out, err = await run_portal(*command, **where)
        assert code == 0, (command, out, err)
