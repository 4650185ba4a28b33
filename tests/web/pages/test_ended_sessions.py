"""A form whose session has ended is kept through signing in: filled, never sent, never with a secret."""

import re
from html import unescape

import pytest
from sqlalchemy import text

from portal import keys
from portal.core.database import Database
from tests.web.conftest import PASSWORD, Browser


async def end_session(browser: Browser, database: Database) -> None:
    async with database.transaction() as tx:
        statement = text("UPDATE sessions SET seen_at = now() - interval '31 minutes' WHERE account_id = :account")
        await tx.execute(statement, {"account": browser.actor.account_id})


def fields_in(page: str) -> dict[str, str]:
    found = re.findall(r'<input[^>]*? name="([^"]+)"[^>]*? value="([^"]*)"', page)
    return {name: unescape(value) for name, value in found}


async def sign_in_again(browser: Browser, page: str, **wrong: str) -> str:
    fields = fields_in(page) | {"email": browser.email, "password": PASSWORD} | wrong
    answer = await browser.submit("/sign-in", **fields)
    if wrong:
        assert answer.status_code == 422
        return answer.text
    assert answer.status_code == 303
    return answer.headers["Location"]


async def test_a_new_key_that_was_typed_is_filled_in_after_signing_in(ann: Browser, database: Database) -> None:
    await end_session(ann, database)
    typed = {"name": 'Check "out" <1>', "environment": "test", "expiry": "90d", "scopes": "a:read\nb:write"}
    asked = await ann.submit("/keys/new", **typed, allowedIps="203.0.113.7", formNumber="n" * 22)
    assert asked.status_code == 401
    assert "What you typed was not sent and is kept" in asked.text
    assert "n" * 22 not in asked.text
    again = await sign_in_again(ann, asked.text, password="wrong wrong wrong")
    assert await sign_in_again(ann, again) == "/keys/new"
    page = (await ann.get("/keys/new")).text
    assert "You were signed out before this was sent." in page
    assert 'value="Check &#34;out&#34; &lt;1&gt;"' in page
    assert 'value="test" checked' in page
    assert ">a:read\nb:write</textarea>" in page.replace("\r\n", "\n")
    assert ">203.0.113.7</textarea>" in page
    async with database.transaction(ann.actor.account_id) as tx:
        assert await keys.count_keys(tx, ann.actor.account_id, keys.KeyFilter()) == 0
    assert "You were signed out before" not in (await ann.get("/keys/new")).text


async def test_a_setting_is_saved_against_what_was_seen_before(ann: Browser, database: Database) -> None:
    key_id = await ann.create_key()
    page = (await ann.get(f"/keys/{key_id}")).text
    version = re.search(r'name="version" value="(\w+)"', page)
    assert version is not None
    await end_session(ann, database)
    fields = {"version": version[1], "nameBefore": "Checkout", "scopesBefore": "", "allowedIpsBefore": ""}
    typed = {"name": "Mine", "scopes": "", "allowedIps": "", "expiresAt": "", "expiresBefore": ""}
    asked = await ann.submit(f"/keys/{key_id}/update", **fields, **typed)
    async with database.transaction(ann.actor.account_id) as tx:
        await keys.update_key(tx, ann.actor, key_id, keys.KeyChanges(allowed_ips=["203.0.113.0/24"]))
    assert await sign_in_again(ann, asked.text) == f"/keys/{key_id}"
    restored = (await ann.get(f"/keys/{key_id}")).text
    assert 'value="Mine"' in restored
    assert 'name="version" value="' + version[1] in restored
    assert "Changed meanwhile" in restored
    refused = await ann.submit(
        f"/keys/{key_id}/update", **(fields_in(restored) | {"scopes": "", "allowedIps": "203.0.113.0/24"})
    )
    assert refused.status_code == 409


@pytest.mark.parametrize(
    ("action", "fields", "page"),
    [
        (
            "/settings/tokens",
            {"name": "Deploys", "expiry": "1y", "access": "chosen", "scope-keys:read": "on"},
            "/settings",
        ),
        ("/settings/gateways", {"name": "edge-7"}, "/settings/gateways"),
        ("/plan", {"plan": "plan_x"}, "/plan"),
    ],
)
async def test_every_form_leads_back_to_its_page(
    ann: Browser, database: Database, action: str, fields: dict[str, str], page: str
) -> None:
    await end_session(ann, database)
    asked = await ann.submit(action, **fields)
    assert {f"typed.{name}": text_of for name, text_of in fields.items()}.items() <= fields_in(asked.text).items()
    assert await sign_in_again(ann, asked.text) == page


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "hunter2 hunter2"},
        {"name": "pk_live_" + "a1B2" * 9},
        {"note": "token is pat_" + "aB3-_x" * 7},
        {"confirm": "Checkout"},
        {"x": "y" * 20_000},
        {f"f{number}": "x" for number in range(80)},
    ],
)
async def test_secrets_and_excess_are_not_kept(ann: Browser, database: Database, fields: dict[str, str]) -> None:
    await end_session(ann, database)
    asked = await ann.submit("/keys/new", **fields)
    assert asked.status_code == 401
    assert "typed." not in asked.text
    for value in fields.values():
        assert len(value) < 8 or value not in asked.text


async def test_a_stale_sign_in_page_signs_in(ann: Browser, anonymous: Browser) -> None:
    fields = fields_in((await anonymous.get("/sign-in?next=/usage")).text)
    for cookie in ("", "gone", "x" * 43):
        anonymous.client.cookies.clear()
        anonymous.client.cookies["session"] = cookie
        answer = await anonymous.submit("/sign-in", **(fields | {"email": ann.email, "password": PASSWORD}))
        assert (answer.status_code, answer.headers["Location"]) == (303, "/usage")


async def test_refreshing_says_that_the_session_ended_and_leads_nowhere(ann: Browser, database: Database) -> None:
    await end_session(ann, database)
    poll = await ann.get("/", HX_Request="true", X_Poll="1")
    assert poll.status_code == 401
    assert "HX-Redirect" not in poll.headers
    page = await ann.get("/sign-in?next=/usage")
    assert "You were signed out" in page.text
    assert 'value="/usage"' in page.text


async def test_messages_come_once_and_never_from_the_address(ann: Browser) -> None:
    key_id = await ann.create_key()
    for address in (f"/keys/{key_id}", "/plan", "/settings", "/sign-in"):
        for done in ("paused", "updated", "revoked", "changed", "token", "switched", "signed-out"):
            page = (await ann.get(f"{address}?done={done}")).text
            assert "notice good" not in page
            assert "You are signed out" not in page
    await ann.submit(f"/keys/{key_id}/pause")
    await ann.get(f"/keys/{key_id}", HX_Request="true", X_Poll="1")
    await ann.get("/keys")
    shown = [(await ann.get(f"/keys/{key_id}")).text.count("until you resume it.</p></div>") for _ in range(2)]
    assert shown[0] == shown[1] + 1
