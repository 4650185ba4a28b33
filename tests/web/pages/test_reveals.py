"""A secret is made once and waits for its own session: reload, double submit, Back, tabs, sign-out, expiry."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import text
from starlette.applications import Starlette

from portal import accounts, keys
from portal.accounts.sessions.sent_forms import purge_secrets
from portal.core.database import Database
from portal.core.settings import Settings
from portal.runtime import open_container, open_web
from tests.web.conftest import PASSWORD, Browser
from web.app import create_app

Browsers = Callable[..., Awaitable[Browser]]
COUNTS = {
    "key": "SELECT count(*) FROM keys WHERE account_id = :account",
    "rotation": "SELECT count(*) FROM key_secrets WHERE account_id = :account",
    "personal": "SELECT count(*) FROM personal_tokens WHERE account_id = :account",
    "service": "SELECT count(*) FROM service_tokens",
}


@dataclass
class Reveal:
    """One kind of form that makes a secret: its page, its address, its fields, and what there are of before."""

    kind: str
    page: str
    action: str
    fields: dict[str, str]

    async def number(self, browser: Browser) -> str:
        """The number that the form carries when it is shown."""
        page = await browser.get(self.page)
        form = page.text.partition(f'action="{self.action}"')[2]
        found = re.search(r'name="formNumber" value="([\w-]{20,})"', form)
        assert found is not None
        return found[1]

    async def count(self, browser: Browser, database: Database) -> int:
        async with database.transaction() as tx:
            return await tx.get(text(COUNTS[self.kind]), {"account": browser.actor.account_id}, returns=int)


@pytest.fixture(params=[*COUNTS])
async def reveal(request: pytest.FixtureRequest, ann: Browser, database: Database) -> Reveal:
    if request.param == "key":
        return Reveal("key", "/keys/new", "/keys/new", {"name": "x", "environment": "live", "expiry": "never"})
    if request.param == "rotation":
        key_id = await ann.create_key()
        return Reveal("rotation", f"/keys/{key_id}", f"/keys/{key_id}/rotate", {"overlapSeconds": "86400"})
    if request.param == "personal":
        return Reveal("personal", "/settings", "/settings/tokens", {"name": "x", "expiry": "never", "access": "all"})
    async with database.transaction() as tx:
        person = await accounts.find_person(tx, ann.actor.id)
        assert person is not None
        person.is_staff = True
    return Reveal("service", "/settings/gateways", "/settings/gateways", {"name": "edge"})


def secret_in(page: str) -> str:
    found = re.search(r'<code id="secret" tabindex="0">([^<]{30,})</code>', page)
    assert found is not None, page[:2000]
    return found[1]


async def test_it_acts_once_however_often_it_is_sent(ann: Browser, reveal: Reveal, database: Database) -> None:
    before = await reveal.count(ann, database)
    fields = {**reveal.fields, "formNumber": await reveal.number(ann)}
    made = await ann.submit(reveal.action, **fields)
    assert made.status_code == 303
    address = made.headers["Location"]
    page = await ann.get(address)
    assert page.headers["Cache-Control"] == "no-store"
    secret = secret_in(page.text)
    assert secret not in address
    for _ in range(3):  # a reload shows it again and makes nothing
        assert secret_in((await ann.get(address)).text) == secret
    again = await ann.submit(reveal.action, **fields)  # Back, and sent once more
    changed = await ann.submit(reveal.action, **(fields | {"name": "another"}))
    assert [again.headers["Location"], changed.headers["Location"]] == [address, address]
    assert await reveal.count(ann, database) == before + 1
    stored = await ann.submit(f"{address}/stored")
    assert stored.status_code == 303
    assert "not be shown again" in (await ann.get(stored.headers["Location"])).text
    gone = await ann.get(address)
    assert gone.status_code == 410
    assert secret not in gone.text
    assert (await ann.submit(reveal.action, **fields)).headers["Location"] == address
    assert (await ann.get(address)).status_code == 410
    assert (await ann.submit(f"{address}/stored")).status_code == 303
    assert await reveal.count(ann, database) == before + 1


async def test_sent_many_times_at_once_it_acts_once(
    ann: Browser, reveal: Reveal, database: Database, settings: Settings
) -> None:
    """Two processes: each has an app and a pool of its own."""
    before = await reveal.count(ann, database)
    fields = {**reveal.fields, "formNumber": await reveal.number(ann)}
    other_process = settings.model_copy(update={"data": settings.data / f"second-{reveal.kind}"})
    async with open_container(other_process) as parts, open_web(parts) as services:
        twin = Browser(create_app(services))
        twin.client.cookies["session"] = ann.client.cookies["session"]
        answers = await asyncio.gather(
            *(browser.submit(reveal.action, **fields) for _ in range(4) for browser in (ann, twin))
        )
        address = answers[0].headers["Location"]
        assert {(answer.status_code, answer.headers["Location"]) for answer in answers} == {(303, address)}
        assert secret_in((await ann.get(address)).text) == secret_in((await twin.get(address)).text)
        await twin.client.aclose()
    assert await reveal.count(ann, database) == before + 1


async def test_only_its_own_session_sees_it(ann: Browser, reveal: Reveal, app: Starlette, browsers: Browsers) -> None:
    address = (await ann.submit(reveal.action, **reveal.fields)).headers["Location"]
    secret = secret_in((await ann.get(address)).text)
    elsewhere, stranger = Browser(app), await browsers()
    await elsewhere.submit("/sign-in", email=ann.email, password=PASSWORD)
    unknown = address[:-4] + "0000"
    for browser in (elsewhere, stranger):
        answers = [await browser.get(address), await browser.get(unknown)]
        assert [answer.status_code for answer in answers] == [410, 410]
        assert secret not in answers[0].text
        await browser.submit(f"{address}/stored")
    assert secret_in((await ann.get(address)).text) == secret
    await elsewhere.client.aclose()


async def test_it_is_gone_after_ten_minutes_and_with_the_session(
    ann: Browser, reveal: Reveal, database: Database
) -> None:
    before = await reveal.count(ann, database)
    fields = {**reveal.fields, "formNumber": await reveal.number(ann)}
    address = (await ann.submit(reveal.action, **fields)).headers["Location"]
    await _age(ann, database, "10 minutes")
    assert (await ann.get(address)).status_code == 410
    async with database.transaction() as tx:
        assert await purge_secrets(tx) >= 1
    late = await ann.submit(reveal.action, **fields)  # longer than any answer to an Idempotency-Key is kept
    assert (late.status_code, late.headers["Location"]) == (303, address)
    assert await reveal.count(ann, database) == before + 1
    await ann.submit("/sign-out")
    async with database.transaction() as tx:
        left = await tx.get(text("SELECT count(*) FROM sent_forms WHERE id = :id"), {"id": address[-40:]}, returns=int)
    assert left == 0


async def test_nothing_in_the_database_tells_it(ann: Browser, reveal: Reveal, database: Database) -> None:
    address = (await ann.submit(reveal.action, **reveal.fields)).headers["Location"]
    secret = secret_in((await ann.get(address)).text)
    dump = await _dump(database)
    assert address[-40:] in dump
    for told in (secret, secret.encode().hex(), ann.client.cookies["session"]):
        assert told not in dump


async def test_a_refused_form_is_sent_again_corrected(ann: Browser, database: Database) -> None:
    fields = {"name": " ", "environment": "live", "expiry": "never", "formNumber": "n" * 22}
    refused = await ann.submit("/keys/new", **fields)
    assert refused.status_code == 422
    assert f'value="{"n" * 22}"' in refused.text
    made = await ann.reveal("/keys/new", **(fields | {"name": "Good"}))
    assert "<h1>Good</h1>" in made.text


async def test_a_second_person_who_rotates_at_once_ends_nothing(ann: Browser, database: Database) -> None:
    key_id = await ann.create_key()
    page = (await ann.get(f"/keys/{key_id}")).text
    current = re.search(r'name="currentSecretId" value="(sec_\w+)"', page)
    assert current is not None
    fields = {"overlapSeconds": "86400", "currentSecretId": current[1]}
    first = await ann.reveal(f"/keys/{key_id}/rotate", **fields)
    secret = secret_in(first.text)
    stale = await ann.submit(f"/keys/{key_id}/rotate", **fields)
    assert stale.status_code == 409
    assert "You have rotated this key on another page meanwhile" in stale.text
    async with database.transaction(ann.actor.account_id) as tx:
        secrets = await keys.list_secrets(tx, ann.actor.account_id, [key_id])
        found = await keys.find_secret_by_digest(tx, keys.secret_digest(secret))
    assert len(secrets) == 2
    assert found is not None
    assert found[0].ends_at is None


@pytest.mark.parametrize("fields", [{"overlapSeconds": "0"}, {"overlapSeconds": "3600", "endsOldest": "1"}])
async def test_what_ends_a_secret_at_once_needs_a_second_yes(ann: Browser, fields: dict[str, str]) -> None:
    key_id = await ann.create_key()
    asked = await ann.submit(f"/keys/{key_id}/rotate", **fields)
    assert asked.status_code == 422
    assert 'id="sure-problem"' in asked.text
    assert "The current secret ends at once" in asked.text
    await ann.reveal(f"/keys/{key_id}/rotate", **fields, sure="1")


async def _age(browser: Browser, database: Database, length: str) -> None:
    statement = f"UPDATE sent_forms SET created_at = created_at - interval '{length}' WHERE account_id = :account"
    async with database.transaction() as tx:
        await tx.execute(text(statement), {"account": browser.actor.account_id})


async def _dump(database: Database) -> str:
    """Every row of every table as JSON."""
    async with database.transaction() as tx:
        tables = await tx.list(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"),
            returns=str,
        )
        rows = [await tx.list(text(f"SELECT to_jsonb(t)::text FROM {name} t"), returns=str) for name in tables]
    return "\n".join(row for part in rows for row in part)
