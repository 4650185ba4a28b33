"""The key pages and their forms, without a script."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from portal import keys
from portal.core.actor import Role
from portal.core.clock import utc_now
from portal.core.database import Database
from tests.web.conftest import Browser

Browsers = Callable[..., Awaitable[Browser]]


async def test_an_account_without_keys_is_shown_how_to_begin(ann: Browser) -> None:
    page = await ann.get("/keys")
    assert "Your first key" in page.text
    assert "curl http://127.0.0.1:8000/graphql" in page.text
    assert "Northwind &lt;Labs&gt;" in page.text


async def test_creating_shows_the_secret_once(ann: Browser, database: Database) -> None:
    answer = await ann.reveal(
        "/keys/new",
        name="Checkout",
        environment="test",
        expiry="90d",
        scopes="b:write, a:read",
        allowedIps="203.0.113.7",
    )
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    found = re.search(r"pk_test_\w{36}", answer.text)
    assert found is not None
    async with database.transaction(ann.actor.account_id) as tx:
        (key,) = await keys.list_keys(tx, ann.actor.account_id, keys.KeyFilter(), most=10)
    assert (key.name, key.environment, key.scopes, key.allowed_ips) == (
        "Checkout",
        "test",
        ["a:read", "b:write"],
        ["203.0.113.7/32"],
    )
    assert key.expires_at is not None
    assert abs(key.expires_at - utc_now() - timedelta(days=90)) < timedelta(minutes=1)
    for address in ("/keys", f"/keys/{key.id}"):
        page = await ann.get(address)
        assert found[0] not in page.text
        assert "Checkout" in page.text


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("name", {"name": " "}),
        ("scopes", {"scopes": "No Scope!"}),
        ("allowedIps", {"allowedIps": "300.1.1.1"}),
        ("expiresAt", {"expiry": "date", "expiresAt": "soon"}),
        ("expiresAt", {"expiry": "date", "expiresAt": "2020-01-01"}),
        ("expiresAt", {"expiry": "date", "expiresAt": "9999-12-31"}),
    ],
)
async def test_a_mistake_keeps_what_was_typed(ann: Browser, field: str, changes: dict[str, str]) -> None:
    typed = {"name": "Checkout <1>", "environment": "test", "expiry": "never", "scopes": "a:read"} | changes
    answer = await ann.submit("/keys/new", **typed)
    assert answer.status_code == 422
    assert f'id="{field}" name="{field}" aria-invalid="true"' in answer.text
    assert f'id="{field}-problem"' in answer.text
    assert re.search(r'value="test" checked', answer.text)
    if field != "name":
        assert 'value="Checkout &lt;1&gt;"' in answer.text
    assert "Your first key" in (await ann.get("/keys")).text


async def test_the_list_filters_by_its_address(ann: Browser) -> None:
    await ann.create_key()
    await ann.reveal("/keys/new", name="Nightly import", environment="test", expiry="never")
    assert "2 keys" in (await ann.get("/keys")).text
    only = await ann.get("/keys?environment=test")
    assert "Nightly import" in only.text
    assert ">Checkout<" not in only.text
    assert ">Checkout<" in (await ann.get("/keys?q=check")).text
    assert "No key matches" in (await ann.get("/keys?status=revoked")).text
    assert "2 keys" in (await ann.get("/keys?environment=nonsense&status=7")).text


async def test_the_list_has_pages(ann: Browser, database: Database) -> None:
    async with database.transaction(ann.actor.account_id) as tx:
        for number in range(27):
            await keys.create_key(tx, ann.actor, keys.NewKey(f"Key {number}"))
    first = await ann.get("/keys")
    found = re.search(r'href="(/keys\?after=[^"]+)" rel="next"', first.text)
    assert found is not None
    second = await ann.get(found[1])
    shown = [re.findall(r">(Key \d+)<", page.text) for page in (first, second)]
    assert [len(names) for names in shown] == [25, 2]
    assert len({*shown[0], *shown[1]}) == 27
    assert "First page" in second.text


async def test_settings_change_and_the_expiry_stays_unless_changed(ann: Browser, database: Database) -> None:
    key_id = await ann.create_key()
    async with database.transaction(ann.actor.account_id) as tx:
        end = tx.now + timedelta(days=40, minutes=7)
        await keys.update_key(tx, ann.actor, key_id, keys.KeyChanges(expires_at=end))
    day = re.search(r'name="expiresBefore" value="([\d-]+)"', (await ann.get(f"/keys/{key_id}")).text)
    assert day is not None
    fields = {"name": "Renamed", "scopes": "x:y", "allowedIps": "", "expiresAt": day[1], "expiresBefore": day[1]}
    answer = await ann.submit(f"/keys/{key_id}/update", **fields)
    assert answer.headers["Location"] == f"/keys/{key_id}"
    async with database.transaction(ann.actor.account_id) as tx:
        key = await keys.get_key(tx, ann.actor.account_id, key_id)
    assert (key.name, key.scopes, key.expires_at) == ("Renamed", ["x:y"], end)
    await ann.submit(f"/keys/{key_id}/update", **(fields | {"expiresAt": ""}))
    async with database.transaction(ann.actor.account_id) as tx:
        assert (await keys.get_key(tx, ann.actor.account_id, key_id)).expires_at is None


async def test_a_refused_setting_keeps_what_was_typed(ann: Browser) -> None:
    key_id = await ann.create_key()
    fields = {"name": "Renamed", "scopes": "No Scope!", "allowedIps": "", "expiresAt": "", "expiresBefore": ""}
    answer = await ann.submit(f"/keys/{key_id}/update", **fields)
    assert answer.status_code == 422
    assert 'value="Renamed"' in answer.text
    assert "Nothing was changed." in answer.text
    assert "<h1>Checkout</h1>" in answer.text


async def test_rotating_shows_the_new_secret_and_both_afterwards(ann: Browser) -> None:
    key_id = await ann.create_key()
    answer = await ann.reveal(f"/keys/{key_id}/rotate", overlapSeconds="86400")
    assert re.search(r"pk_live_\w{36}", answer.text)
    assert "works until" in answer.text
    page = await ann.get(f"/keys/{key_id}")
    assert "Rotating" in page.text
    assert len(re.findall(r'<td><code class="whole">pk_live_\w{4}…\w{4}</code>', page.text)) == 2
    assert 'hx-trigger="every 15s, retry"' in page.text


@pytest.mark.parametrize("overlap", ["", "12", "-1", "x"])
async def test_only_the_offered_overlaps_are_taken(ann: Browser, overlap: str) -> None:
    key_id = await ann.create_key()
    answer = await ann.submit(f"/keys/{key_id}/rotate", overlapSeconds=overlap)
    assert answer.status_code == 422
    assert "Choose how long" in answer.text


async def test_pause_and_resume(ann: Browser) -> None:
    key_id = await ann.create_key()
    await ann.submit(f"/keys/{key_id}/pause")
    page = await ann.get(f"/keys/{key_id}")
    assert "Paused since" in page.text
    await ann.submit(f"/keys/{key_id}/resume")
    assert "Paused since" not in (await ann.get(f"/keys/{key_id}")).text


async def test_revoking_needs_the_name(ann: Browser) -> None:
    key_id = await ann.create_key()
    refused = await ann.submit(f"/keys/{key_id}/revoke", confirmName="Checkout", confirm="checkout")
    assert refused.status_code == 422
    assert 'id="confirm-problem"' in refused.text
    done = await ann.submit(
        f"/keys/{key_id}/revoke", confirmName="Checkout", confirm="Checkout", reason="leaked <here>"
    )
    assert done.headers["Location"] == f"/keys/{key_id}"
    page = await ann.get(f"/keys/{key_id}")
    assert "Reason: leaked &lt;here&gt;" in page.text
    assert "<form" not in page.text.split("<main")[1]
    late = await ann.submit(f"/keys/{key_id}/update", name="x")
    assert late.status_code == 409
    assert "This key is revoked and cannot change." in late.text


async def test_another_accounts_key_is_not_there(ann: Browser, browsers: Browsers) -> None:
    other = await browsers()
    key_id = await other.create_key()
    answers = [await ann.get(f"/keys/{key_id}"), await ann.get("/keys/key_06C3B2PHTTAMJ1ZKY7QB5DC4XR")]
    assert [answer.status_code for answer in answers] == [404, 404]
    answer = await ann.submit(f"/keys/{key_id}/pause")
    assert answer.status_code == 404
    assert "Paused since" not in (await other.get(f"/keys/{key_id}")).text


async def test_a_viewer_looks_but_does_not_change(browsers: Browsers) -> None:
    viewer = await browsers(Role.VIEWER)
    page = await viewer.get("/keys")
    assert 'href="/keys/new"' not in page.text
    assert "can view keys" in (await viewer.get("/keys/new")).text
    answer = await viewer.submit("/keys/new", name="x", environment="live", expiry="never")
    assert answer.status_code == 403
    assert "Your role does not allow keys:write" in answer.text


async def test_a_forms_address_leads_to_its_page(ann: Browser) -> None:
    key_id = await ann.create_key()
    answer = await ann.get(f"/keys/{key_id}/rotate")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/keys/{key_id}")


async def test_the_query_that_is_shown_works(ann: Browser) -> None:
    page = await ann.get("/keys?q=it%27s")
    assert "query Keys(" in page.text
    assert "&#34;search&#34;: &#34;it&#39;s&#34;" in page.text
    assert "it&#39;&#34;&#39;&#34;&#39;s" in page.text


async def test_a_limit_that_staff_changed_is_shown_with_its_reason(ann: Browser, database: Database) -> None:
    key_id = await ann.create_key()
    assert "Changed for this key" not in (await ann.get(f"/keys/{key_id}")).text
    async with database.transaction(ann.actor.account_id) as tx:
        staff = replace(ann.actor, id="usr_staff", is_staff=True)
        new = keys.NewOverride("burst", 4321, 250, "a <launch>", expires_at=tx.now + timedelta(days=2))
        await keys.override_key_limit(tx, staff, key_id, new)
    page = (await ann.get(f"/keys/{key_id}")).text
    assert "Changed for this key" in page
    assert "4,321 in 250 ms" in page
    assert "a &lt;launch&gt;" in page
    assert "100 in 1 min" in page
