"""Exports over HTTP: for a session or a token, of one account alone, in pieces, and never left running."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from httpx2 import AsyncClient
from sqlalchemy import select, text
from sqlmodel import col

from portal import accounts
from portal.audit.models import AuditEvent
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.usage import encode_batch, ingest_usage
from tests.e2e.running import Login, RunningPortal, new_login, running_portal
from tests.usage.sample import record
from tests.web.conftest import Browser
from web.usage import export as usage_export

FROM = datetime(2026, 10, 10, tzinfo=UTC)
STRETCH = "from=2026-10-01T00:00:00Z&to=2026-11-01T00:00:00Z"
MANY = 100_000
EXPORTING = (
    "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%ORDER BY occurred_at, request_id%'"
    " AND query NOT LIKE '%pg_stat_activity%'"
)


async def fill(database: Database, account_id: str, count: int, **changes: object) -> None:
    for first in range(0, count, 20_000):
        rows = [
            record(number, FROM + timedelta(seconds=number), account_id=account_id, **changes)
            for number in range(first, min(first + 20_000, count))
        ]
        await ingest_usage(database, encode_batch(rows))


async def token_of(database: Database, login: Login) -> str:
    async with database.transaction(actor=login.actor) as tx:
        return (await accounts.create_personal_token(tx, login.actor, "export")).token


async def test_a_browser_downloads_a_file(ann: Browser, database: Database) -> None:
    await fill(database, ann.actor.account_id, 5)
    answer = await ann.get(f"/usage/export?format=csv&{STRETCH}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="usage-events-20261001-20261101.csv"'
    assert answer.headers["X-Total-Estimate"] == "5"
    assert answer.headers["Cache-Control"] == "no-store"
    assert len([*csv.DictReader(io.StringIO(answer.text))]) == 5
    for_excel = await ann.get(f"/usage/export?format=csv-excel&{STRETCH}")
    assert for_excel.content == b"\xef\xbb\xbf" + answer.content
    assert for_excel.headers["Content-Disposition"] == answer.headers["Content-Disposition"]
    assert for_excel.headers["Content-Type"] == "text/csv; charset=utf-8"


@pytest.mark.parametrize(
    ("form", "kind"), [("jsonl", "application/jsonl"), ("parquet", "application/vnd.apache.parquet")]
)
async def test_other_formats_and_buckets(ann: Browser, database: Database, form: str, kind: str) -> None:
    await fill(database, ann.actor.account_id, 5)
    answer = await ann.get(f"/usage/export?format={form}&rows=days&{STRETCH}")
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["X-Total-Estimate"] == "1"
    if form == "jsonl":
        assert json.loads(answer.text)["calls"] == 5
    else:
        assert answer.content.startswith(b"PAR1")
        assert answer.content.endswith(b"PAR1")


async def test_filters(ann: Browser, database: Database) -> None:
    await fill(database, ann.actor.account_id, 3)
    await fill(database, ann.actor.account_id, 5, resource="", code="RATE_LIMITED")
    for which, count in (
        ("resource=", 2),
        ("outcome=VALID", 3),
        ("key=key_x", 0),
        ("environment=live", 5),
        ("key=", 5),
    ):
        answer = await ann.get(f"/usage/export?format=jsonl&{STRETCH}&{which}")
        assert len(answer.text.splitlines()) == count, which


async def test_it_is_written_down_who_took_what(ann: Browser, database: Database) -> None:
    await ann.get(f"/usage/export?format=jsonl&rows=days&{STRETCH}")
    assert (await ann.client.head(f"/usage/export?{STRETCH}")).headers["X-Total-Estimate"] == "0"
    chosen = select(AuditEvent).where(
        col(AuditEvent.account_id) == ann.actor.account_id, col(AuditEvent.action) == "usage.export"
    )
    async with database.transaction(ann.actor.account_id) as tx:
        (row,) = await tx.list(chosen)
    assert (row.actor_id, row.details["format"], row.details["rows"]) == (ann.actor.id, "jsonl", "days")
    assert row.details["from"] == "2026-10-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("format=csv", "from"),
        (f"{STRETCH}&format=xlsx", "format"),
        (f"{STRETCH}&rows=years", "rows"),
        (f"{STRETCH}&environment=both", "environment"),
        (f"{STRETCH}&color=red", "color"),
        ("from=2026-11-01T00:00:00Z&to=2026-10-01T00:00:00Z", "from"),
        ("from=2026-11-01&to=2026-11-02T00:00:00Z", "offset"),
        ("from=yesterday&to=today", "from"),
    ],
)
async def test_an_address_that_makes_no_sense_says_why(ann: Browser, query: str, word: str) -> None:
    answer = await ann.get(f"/usage/export?{query}", Accept="application/json")
    assert answer.status_code == 422
    assert word in answer.json()["detail"]


async def test_a_plus_sign_that_was_not_escaped_is_understood(ann: Browser) -> None:
    answer = await ann.get("/usage/export?from=2026-10-01T00:00:00+02:00&to=2026-10-02T00:00:00+02:00")
    assert answer.status_code == 200


async def test_an_anonymous_caller_is_led_to_the_sign_in_or_refused(anonymous: Browser) -> None:
    page = await anonymous.get(f"/usage/export?{STRETCH}")
    assert (page.status_code, page.headers["Location"][:9]) == (303, "/sign-in?")
    for headers in ({}, {"Authorization": "Bearer pat_wrong"}):
        program = await anonymous.get(f"/usage/export?{STRETCH}", Accept="*/*", **headers)
        assert program.status_code == 401
        assert program.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_viewer_may_and_another_account_gets_nothing(
    ann: Browser, database: Database, anonymous: Browser
) -> None:
    await fill(database, ann.actor.account_id, 4)
    login = await new_login(database)
    bearer = f"Bearer {await token_of(database, login)}"
    answer = await anonymous.get(f"/usage/export?format=jsonl&{STRETCH}&key=key_a", Authorization=bearer)
    assert (answer.status_code, answer.text) == (200, "")


async def test_one_account_leaves_exports_to_the_others(
    portal: RunningPortal, database: Database, login: Login
) -> None:
    token = await token_of(database, login)
    begun = [await begin(portal, token, number + 1) for number in range(usage_export.MAX_ACCOUNT_EXPORTS)]
    other = await new_login(database)
    async with AsyncClient(base_url=portal.url) as client:
        own = await client.get(f"/usage/export?{STRETCH}", headers={"Authorization": f"Bearer {token}"})
        assert (own.status_code, own.headers["Retry-After"]) == (429, "10")
        bearer = f"Bearer {await token_of(database, other)}"
        assert (await client.get(f"/usage/export?{STRETCH}", headers={"Authorization": bearer})).status_code == 200
    for _, writer in begun:
        writer.transport.abort()
    await until_cursors(database, 0)


async def test_an_export_ends_after_its_time(
    portal: RunningPortal, database: Database, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_export, "EXPORT_SECONDS", 1.0)
    reader, writer = await begin(portal, await token_of(database, login))
    await until_cursors(database, 0)
    assert not await is_whole(reader)
    writer.close()


async def test_a_ninth_export_at_once_is_told_to_wait(ann: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_export, "MAX_EXPORTS", 0)
    answer = await ann.get(f"/usage/export?{STRETCH}", Accept="application/json")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")


@pytest.fixture(scope="module")
async def portal(
    services: EmbeddedServices, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningPortal]:
    async with running_portal(
        services.database_url, list(services.redis_urls), tmp_path_factory.mktemp("export")
    ) as portal:
        yield portal


@pytest.fixture(scope="module")
async def login(database: Database) -> Login:
    login = await new_login(database)
    await fill(database, login.actor.account_id, MANY)
    return login


async def until_cursors(database: Database, count: int) -> None:
    """Until so many transactions stand open on an export; a minute at most."""
    async with asyncio.timeout(60):
        while True:
            async with database.owner_transaction() as tx:
                if await tx.find(text(f"SELECT count(*) {EXPORTING} AND state <> 'idle'")) == count:
                    return
            await asyncio.sleep(0.02)


async def begin(portal: RunningPortal, token: str, count: int = 1) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """An export of which the first bytes alone were read, so that it waits for its reader."""
    parts = urlsplit(portal.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1024)
    head = f"GET /usage/export?{STRETCH} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n"
    writer.write(head.encode())
    assert b"200 OK" in await reader.read(200)
    await until_cursors(portal.database, count)
    return reader, writer


async def test_over_a_real_connection_every_row_arrives(
    portal: RunningPortal, database: Database, login: Login
) -> None:
    headers = {"Authorization": f"Bearer {await token_of(database, login)}", "Accept-Encoding": "gzip"}
    async with AsyncClient(base_url=portal.url, headers=headers) as client:
        answer = await client.get(f"/usage/export?format=jsonl&{STRETCH}")
    assert "Content-Encoding" not in answer.headers
    ids = [json.loads(line)["request_id"] for line in answer.text.splitlines()]
    assert len(ids) == len(set(ids)) == MANY == int(answer.headers["X-Total-Estimate"])


@pytest.mark.faults
async def test_a_broken_connection_frees_the_cursor(portal: RunningPortal, database: Database, login: Login) -> None:
    token = await token_of(database, login)
    for _ in range(usage_export.MAX_EXPORTS + 2):
        _, writer = await begin(portal, token)
        writer.transport.abort()
        await until_cursors(database, 0)
    async with AsyncClient(base_url=portal.url, headers={"Authorization": f"Bearer {token}"}) as client:
        assert (await client.get(f"/usage/export?{STRETCH}")).status_code == 200


@pytest.mark.faults
async def test_a_reader_that_stands_still_is_left(
    portal: RunningPortal, database: Database, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = await begin(portal, await token_of(database, login))
    monkeypatch.setattr(usage_export, "STALL_SECONDS", 0.3)
    await reader.readexactly(4_000_000)  # what is sent from now on has that long
    await until_cursors(database, 0)
    assert not await is_whole(reader)
    writer.close()


async def is_whole(reader: asyncio.StreamReader) -> bool:
    """Read to the end: whether it came as it should."""
    got = b""
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            got = got[-10:] + data
    return got.endswith(b"0\r\n\r\n")


@pytest.mark.faults
async def test_half_a_file_never_looks_whole(portal: RunningPortal, database: Database, login: Login) -> None:
    reader, writer = await begin(portal, await token_of(database, login))
    async with database.owner_transaction() as tx:
        assert await tx.find(text(f"SELECT count(pg_terminate_backend(pid)) {EXPORTING}")) == 1
    assert not await is_whole(reader)
    writer.close()
