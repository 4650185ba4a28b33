"""`portal migrate`, and what starts on a database that is older, newer or empty. Every failure is one line."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from migrations import run
from migrations.run import SchemaState, migrate, missing_after, newest_revision, pending, state_of
from portal.accounts import list_accounts, list_time_zones
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.errors import StartupError
from portal.core.ids import new_id
from portal.plans import AccountPeriod, load_periods_of
from portal.runtime import prepare_database, require_migrated
from tests.cli.demo_portal import run_portal

BEFORE = "0072"
LATER = "9999"
STARTS: dict[str | None, list[tuple[str, ...]]] = {
    None: [("worker",)],
    BEFORE: [("serve", "--port", "0", "--workers", "2", "--only", "check")],
}


@pytest.fixture
async def empty(services: EmbeddedServices) -> AsyncIterator[Database]:
    """A database of its own in which nobody has run anything."""
    server = Database(services.database_url)
    name = new_id("db").lower()
    await _run(server, f"CREATE DATABASE {name}")
    database = Database(services.database_url.rpartition("/")[0] + f"/{name}")
    yield database
    await database.close()
    await _run(server, f"DROP DATABASE {name} WITH (FORCE)")
    await server.close()


async def _run(database: Database, *statements: str) -> None:
    async with database.owner_connection() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def _migrate_until(database: Database, revision: str) -> None:
    """As the version did whose newest migration that was."""
    for one in missing_after(None):
        await run._run(database.engine, one)
        if one == revision:
            return


def _settings(database: Database, services: EmbeddedServices, folder: object) -> dict[str, str]:
    return {
        "PORTAL_DATABASE_URL": database.url,
        "PORTAL_REDIS_URLS": ",".join(services.redis_urls),
        "PORTAL_DATA": str(folder),
    }


@pytest.mark.parametrize("has", STARTS)
async def test_nothing_starts_on_an_older_or_an_empty_database(
    empty: Database, services: EmbeddedServices, tmp_path: object, has: str | None
) -> None:
    if has is not None:
        await _migrate_until(empty, has)
    settings = _settings(empty, services, tmp_path)
    with pytest.raises(StartupError, match="portal migrate"):
        await require_migrated(empty.url)
    for command in STARTS[has]:
        code, _, said = await run_portal(*command, **settings)
        assert (code, len(said.splitlines())) == (1, 1), (command, said)
        assert "portal migrate" in said
        assert f"has migration {has or 'none'}" in said
    code, told, said = await run_portal("migrate", **settings)
    assert (code, said) == (0, "")
    assert told.splitlines()[-1] == "The database is ready."
    assert told.count("Migration ") == len(missing_after(has))
    await require_migrated(empty.url)


async def test_an_older_version_leaves_a_newer_database_alone_and_goes_on(
    empty: Database, services: EmbeddedServices, tmp_path: object
) -> None:
    await prepare_database(empty.url)
    await _run(empty, f"UPDATE alembic_version SET version_num = '{LATER}'")
    code, told, said = await run_portal("migrate", **_settings(empty, services, tmp_path))
    assert (code, len(told.splitlines()), said) == (0, 1, "")
    assert "later version" in told
    assert (await pending(empty.url))[0] == LATER
    await require_migrated(empty.url)


async def test_a_database_that_is_away_keeps_nothing_from_starting(services: EmbeddedServices) -> None:
    await require_migrated(_url(services, port=1))
    await require_migrated(_url(services, password="wrong"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"port": 1}, "does not answer"),
        ({"password": "wrong"}, "password authentication failed"),
        ({"database": "nobodys"}, "does not exist"),
        ({"host": "no.such.host.invalid"}, "does not answer"),
    ],
)
async def test_a_database_that_cannot_be_reached_is_one_line(
    services: EmbeddedServices, change: dict[str, object], says: str
) -> None:
    with pytest.raises(StartupError, match=says) as refused:
        await prepare_database(_url(services, **change))
    assert len(str(refused.value).splitlines()) == 1


async def test_other_commands_say_so_in_one_line_too(services: EmbeddedServices, tmp_path: object) -> None:
    settings = {
        "PORTAL_DATABASE_URL": _url(services, password="wrong"),
        "PORTAL_REDIS_URLS": services.redis_urls[0],
        "PORTAL_DATA": str(tmp_path),
    }
    code, _, said = await run_portal("token", "create", "--service", "gateway", **settings)
    assert (code, len(said.splitlines())) == (1, 1), said
    assert "password authentication failed" in said


async def test_a_missing_right_is_named_with_its_grant(
    empty: Database, services: EmbeddedServices, tmp_path: object
) -> None:
    role = new_id("r").lower()
    name = make_url(empty.url).database
    await _run(empty, f"CREATE ROLE {role} LOGIN PASSWORD 'p'", f"ALTER DATABASE {name} OWNER TO {role}")
    url = make_url(empty.url).set(username=role, password="p").render_as_string(hide_password=False)
    settings = _settings(empty, services, tmp_path) | {"PORTAL_DATABASE_URL": url}
    code, _, said = await run_portal("migrate", **settings)
    assert (code, len(said.splitlines())) == (1, 1), said
    assert f"ALTER ROLE {role} CREATEROLE" in said
    await _run(empty, f"ALTER DATABASE {name} OWNER TO CURRENT_USER", f"DROP OWNED BY {role}", f"DROP ROLE {role}")


async def test_a_lock_is_waited_for_in_short_tries_that_let_others_pass(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "LOCK_TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(run, "RETRY_SECONDS", (0.2,))
    await _migrate_until(empty, BEFORE)
    async with empty.owner_transaction() as tx:
        await tx.execute(text("LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE"))
        running = asyncio.create_task(migrate(empty.url))
        await asyncio.sleep(2.5)
        assert not running.done()
    assert await running is SchemaState.OLDER
    assert (await pending(empty.url))[0] == newest_revision()


async def test_what_was_done_stays_done_where_a_later_migration_fails(empty: Database) -> None:
    await _migrate_until(empty, "0071")
    await _run(empty, "CREATE TABLE invoices (id text)")
    with pytest.raises(StartupError, match="already exists"):
        await prepare_database(empty.url)
    assert (await pending(empty.url))[0] == BEFORE
    await _run(empty, "DROP TABLE invoices")
    await prepare_database(empty.url)


async def test_periods_are_stored_as_the_version_before_derives_them(empty: Database) -> None:
    """An account in every zone, and one in a zone that this machine does not know, which nobody could bill."""
    await _migrate_until(empty, "0093")
    zones = [*list_time_zones(), "Mars/Olympus"]
    values = ", ".join(f"('acct_{number}', 'Acme', '{zone}', now())" for number, zone in enumerate(zones))
    await _run(empty, f"INSERT INTO accounts (id, name, time_zone, created_at) VALUES {values}")
    await prepare_database(empty.url)
    async with empty.transaction() as tx:
        found = await load_periods_of(tx, rows := await list_accounts(tx, [f"acct_{n}" for n in range(len(zones) - 1)]))
        nobody = await tx.get(
            text("SELECT count(*) FROM billing_periods WHERE time_zone = 'Mars/Olympus'"), returns=int
        )
    assert (len(rows), nobody) == (len(zones) - 1, 0)
    for account in rows:
        zone = ZoneInfo(account.time_zone)
        local = tx.now.astimezone(zone)
        edges = [
            datetime(local.year + (local.month + n) // 13, (local.month + n - 1) % 12 + 1, 1, tzinfo=zone)
            for n in range(3)
        ]
        starts = [edge.astimezone(UTC) for edge in edges]
        names = [f"{edge:%Y-%m}" for edge in edges]
        expected = [AccountPeriod(names[n], account.time_zone, starts[n], starts[n + 1]) for n in (0, 1)]
        assert [*found[account.id].stored] == expected


async def test_several_at_once_migrate_once(empty: Database) -> None:
    told: list[str] = []
    states = await asyncio.gather(*[migrate(empty.url, told.append) for _ in range(4)])
    assert sorted(states) == [SchemaState.CURRENT] * 3 + [SchemaState.EMPTY]
    assert told == missing_after(None)


def test_a_revision_stands_to_this_version() -> None:
    states = {state_of(revision) for revision in missing_after(None)}
    assert states == {SchemaState.OLDER, SchemaState.CURRENT}
    assert (state_of(None), state_of(LATER)) == (SchemaState.EMPTY, SchemaState.NEWER)
    assert state_of(newest_revision()) is SchemaState.CURRENT


def _url(services: EmbeddedServices, **change: object) -> str:
    return make_url(services.database_url).set(**change).render_as_string(hide_password=False)  # type: ignore[arg-type]
