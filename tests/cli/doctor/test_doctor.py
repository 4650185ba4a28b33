"""`portal doctor`: what it finds, and how it ends."""

import json
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from portal.cli.doctor.checks import State, examine_postgres
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.ids import new_id
from portal.usage import IngestBatcher
from tests.billing.account import month, new_account
from tests.cli.demo_portal import DemoPortal, run_portal


def settings_of(services: EmbeddedServices, data: str) -> dict[str, str]:
    return {
        "PORTAL_DATABASE_URL": services.database_url,
        "PORTAL_REDIS_URLS": ",".join(services.redis_urls),
        "PORTAL_DATA": data,
    }


async def test_a_portal_that_runs_is_well(demo_portal: DemoPortal) -> None:
    code, out, err = await run_portal("doctor", "--data", str(demo_portal.data))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    subjects = ["settings", "PostgreSQL", "migrations", "invoices", "Redis", "clocks", "disk", "journal"]
    assert [line.split()[:2] for line in lines] == [["✓", subject] for subject in subjects]


async def test_missing_settings_are_all_named() -> None:
    code, out, _ = await run_portal("doctor")
    assert code == 1
    assert "✗ settings" in out
    assert "PORTAL_DATABASE_URL" in out
    assert "PORTAL_REDIS_URLS" in out


async def test_a_redis_that_forgets_is_doubtful(where: dict[str, str], tmp_path: Path) -> None:
    """The tests' own Redis keeps nothing on disk. Without a journal the disk is doubtful too, and gets none."""
    code, out, _ = await run_portal("doctor", "--json", **where)
    assert code == 0
    assert {f["what"] for f in json.loads(out) if f["state"] != "good"} == {"Redis", "disk"}
    journal = tmp_path / "data" / "journal"
    assert not journal.exists()
    journal.mkdir(parents=True)
    code, out, _ = await run_portal("doctor", "--json", **where)
    assert code == 0
    states = {finding["what"]: finding["state"] for finding in json.loads(out)}
    assert states["Redis"] == "doubtful"
    assert {state for what, state in states.items() if what != "Redis"} == {"good"}


async def test_what_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    away = {
        "PORTAL_DATABASE_URL": "postgresql+asyncpg://portal:hush-hush@127.0.0.1:9/portal",
        "PORTAL_REDIS_URLS": "redis://:hush-hush@127.0.0.1:9/0",
        "PORTAL_DATA": "/proc/nowhere",
    }
    code, out, err = await run_portal("doctor", **away)
    assert code == 1
    signs = {line.split()[1]: line[0] for line in out.splitlines()}
    assert signs == {"settings": "✓", "PostgreSQL": "✗", "Redis": "✗", "clocks": "!", "disk": "✗", "journal": "✓"}
    assert "hush-hush" not in out + err


async def test_a_database_that_was_never_migrated_is_reported(services: EmbeddedServices, tmp_path: Path) -> None:
    settings = settings_of(services, str(tmp_path))
    settings["PORTAL_DATABASE_URL"] = settings["PORTAL_DATABASE_URL"].rpartition("/")[0] + "/postgres"
    code, out, _ = await run_portal("doctor", **settings)
    assert code == 1
    assert "Run `portal migrate`." in out


async def test_a_tariff_that_cannot_be_billed_and_overdue_accounts_are_reported(
    own: Database, where: dict[str, str]
) -> None:
    _, out, _ = await run_portal("doctor", **where)
    assert "✓ invoices" in out
    await new_account(own, opened=month(1))
    _, out, _ = await run_portal("doctor", **where)
    assert "! invoices     1 that should have been written" in out
    broken = """UPDATE plans SET tariff = '{"currency": "EUR", "charges": [], "minimum": 0.5}' WHERE slug = 'pro'"""
    async with own.transaction() as tx:
        await tx.execute(text(broken))
    code, out, _ = await run_portal("doctor", **where)
    assert code == 1
    assert "✗ invoices     the tariff of pro cannot be billed: minimum: A float is not exact" in out


@pytest.mark.parametrize(("count", "message"), [(1, "1 entry is not counted."), (3, "3 entries are not counted.")])
async def test_usage_in_the_quarantine_is_told_and_ends_nothing(
    own: Database, where: dict[str, str], count: int, message: str
) -> None:
    _, out, _ = await run_portal("doctor", **where)
    assert "! quarantine" not in out

    async def raise_nothing(account_id: str, period: str, used: int, settled: int) -> None:
        """No quota has a part in this."""

    for number in range(count):
        await IngestBatcher(own, raise_nothing).add(f"no batch {number}".encode())
    code, out, _ = await run_portal("doctor", "--json", **where)
    assert code == 0
    (found,) = [finding for finding in json.loads(out) if finding["what"] == "quarantine"]
    assert (found["state"], found["message"]) == ("doubtful", message)
    assert "portal dlq list" in found["hint"]


@pytest.mark.parametrize(
    ("alteration", "state", "words"),
    [
        ("", State.GOOD, "127.0.0.1"),
        ("CONNECTION LIMIT 21", State.GOOD, "127.0.0.1"),
        ("CONNECTION LIMIT 20", State.DOUBTFUL, "19 of 20 connections are left"),
        ("CONNECTION LIMIT 2", State.DOUBTFUL, "1 of 2 connections are left"),
        ("CONNECTION LIMIT 1", State.DOUBTFUL, "0 of 1 connections are left"),
        ("CONNECTION LIMIT 0", State.BAD, "too many connections"),
        ("NOLOGIN", State.BAD, "not permitted to log in"),
        ("PASSWORD 'another'", State.BAD, "password authentication failed"),
        ("SET default_transaction_read_only = on", State.BAD, "is read-only"),
    ],
)
async def test_postgresql_in_its_moods(
    services: EmbeddedServices, database: Database, alteration: str, state: State, words: str
) -> None:
    """By a role of our own, so that no other test meets the mood."""
    role = new_id("role").lower()
    url = make_url(services.database_url).set(username=role, password="hush-hush")
    async with database.owner_connection() as connection:
        await connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'hush-hush'"))
        if alteration:
            await connection.execute(text(f"ALTER ROLE {role} {alteration}"))
    try:
        found = await examine_postgres(url.render_as_string(hide_password=False))
    finally:
        async with database.owner_connection() as connection:
            await connection.execute(text(f"DROP ROLE {role}"))
    assert (found.state, words in found.message) == (state, True), found
    assert "hush-hush" not in f"{found.message}{found.hint}"
