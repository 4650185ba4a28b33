"""Sessions, tokens and accounts on the settings page, without a script."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette

from portal import accounts
from portal.core.actor import Role
from portal.core.database import Database
from tests.web.conftest import PASSWORD, Browser

Browsers = Callable[..., Awaitable[Browser]]
VIEWER = "{ viewer { permissions account { id } } }"


async def test_a_token_is_shown_once_works_and_is_revoked(ann: Browser) -> None:
    made = await ann.reveal("/settings/tokens", name="Deploys", expiry="90d", access="all")
    assert made.status_code == 200
    assert made.headers["Cache-Control"] == "no-store"
    found = re.search(r"pat_[\w-]{43}", made.text)
    assert found is not None
    answer = await post_graphql(ann, found[0])
    assert "keys:write" in answer["data"]["viewer"]["permissions"]
    page = await ann.get("/settings")
    assert found[0] not in page.text
    assert "Deploys" in page.text
    address = re.search(r"/settings/tokens/pat_\w+/revoke", page.text)
    assert address is not None
    revoked = await ann.submit(address[0])
    assert (revoked.status_code, revoked.headers["Location"]) == (303, "/settings#tokens")
    assert "Revoked. The token" in (await ann.get("/settings")).text
    assert "Revoked. The token" not in (await ann.get("/settings")).text
    assert (await post_graphql(ann, found[0]))["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_token_with_chosen_scopes_has_no_others(ann: Browser) -> None:
    fields = {"name": "Read", "expiry": "never", "access": "chosen", "scope-keys:read": "on", "scope-usage:read": "on"}
    made = await ann.reveal("/settings/tokens", **fields)
    found = re.search(r"pat_[\w-]{43}", made.text)
    assert found is not None
    assert (await post_graphql(ann, found[0]))["data"]["viewer"]["permissions"] == ["keys:read", "usage:read"]


async def test_a_mistake_is_shown_beside_its_field(ann: Browser) -> None:
    unnamed = await ann.submit("/settings/tokens", name=" ", expiry="30d", access="all")
    assert unnamed.status_code == 422
    assert 'id="name-problem"' in unnamed.text
    empty = await ann.submit("/settings/tokens", name="x", expiry="30d", access="chosen")
    assert empty.status_code == 422
    assert 'id="scopes-problem"' in empty.text


async def test_another_session_is_listed_and_ended(app: Starlette, ann: Browser) -> None:
    phone = Browser(app)
    phone.client.headers["User-Agent"] = "Mozilla/5.0 (Android 15) Firefox/140.0"
    await phone.submit("/sign-in", email=ann.email, password=PASSWORD)
    assert (await phone.get("/settings")).status_code == 200
    page = await ann.get("/settings")
    assert "Firefox on Android" in page.text
    _, _, after = page.text.partition("End the session on Firefox on Android")
    address = re.findall(r"/settings/sessions/ses_\w+/revoke", after)[0]
    ended = await ann.submit(address)
    assert ended.headers["Location"] == "/settings#sessions"
    assert (await phone.get("/settings")).headers["Location"].startswith("/sign-in")
    assert (await ann.get("/settings")).status_code == 200
    await phone.client.aclose()


async def test_ending_all_others_keeps_this_one(app: Starlette, ann: Browser) -> None:
    others = [Browser(app), Browser(app)]
    for other in others:
        await other.submit("/sign-in", email=ann.email, password=PASSWORD)
    ended = await ann.submit("/settings/sessions/revoke-others")
    assert ended.headers["Location"] == "/settings#sessions"
    for other in others:
        assert (await other.get("/settings")).status_code == 303
        await other.client.aclose()
    assert (await ann.get("/settings")).status_code == 200


async def test_ending_the_present_session_signs_out(ann: Browser) -> None:
    page = await ann.get("/settings")
    address = re.findall(r"/settings/sessions/ses_\w+/revoke", page.text)[0]
    ended = await ann.submit(address)
    assert ended.headers["Location"] == "/sign-in"
    assert (await ann.get("/settings")).status_code == 303


async def test_another_persons_session_is_as_if_there_were_none(ann: Browser, browsers: Browsers) -> None:
    theirs = re.findall(r"/settings/sessions/ses_\w+/revoke", (await (await browsers()).get("/settings")).text)[0]
    refused = await ann.submit(theirs)
    missing = await ann.submit("/settings/sessions/ses_0000000000000000000000MISS/revoke")
    assert refused.status_code == missing.status_code == 404
    assert "There is no such session." in refused.text


async def test_switching_to_another_account(ann: Browser, browsers: Browsers, database: Database) -> None:
    other = await browsers()
    async with database.transaction() as tx:
        membership = accounts.Membership(
            account_id=other.actor.account_id, person_id=ann.actor.id, role=Role.VIEWER.value, created_at=tx.now
        )
        await tx.insert(membership)
    page = await ann.get("/settings")
    assert other.actor.account_id in page.text
    switched = await ann.submit("/settings/account", account=other.actor.account_id)
    assert switched.headers["Location"] == "/settings"
    assert "Viewer" in (await ann.get("/settings")).text
    refused = await ann.submit("/settings/account", account="acct_0000000000000000000000MISS")
    assert refused.status_code == 404


async def test_gateways_are_for_staff(ann: Browser, database: Database) -> None:
    assert (await ann.get("/settings/gateways")).status_code == 403
    async with database.transaction() as tx:
        person = await accounts.find_person(tx, ann.actor.id)
        assert person is not None
        person.is_staff = True
    assert "/settings/gateways" in (await ann.get("/settings")).text
    made = await ann.reveal("/settings/gateways", name="edge-frankfurt")
    assert re.search(r"svc_[\w-]{43}", made.text)
    page = await ann.get("/settings/gateways")
    assert "edge-frankfurt" in page.text
    _, _, after = page.text.partition("Revoke the token of edge-frankfurt")
    revoked = await ann.submit(re.findall(r"/settings/gateways/svc_\w+/revoke", after)[0])
    assert revoked.headers["Location"] == "/settings/gateways"


async def post_graphql(browser: Browser, token: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    answer = await browser.client.post("/graphql", json={"query": VIEWER}, headers=headers)
    document: dict[str, Any] = answer.json()
    return document
