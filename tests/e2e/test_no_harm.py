"""What a reload, Back, a second tab, an ended session or a lost connection could harm, in a real browser."""

import re

import pytest
from playwright.async_api import Page, expect

from portal import keys
from tests.e2e.conftest import sign_in
from tests.e2e.running import PASSWORD, Login, RunningPortal, new_login

pytestmark = pytest.mark.e2e


@pytest.fixture
async def login(portal: RunningPortal, tab: Page) -> Login:
    login = await new_login(portal.database)
    await sign_in(tab, login.email)
    return login


async def count_secrets(portal: RunningPortal, login: Login) -> tuple[int, int]:
    """How many keys there are, and secrets of all of them."""
    account = login.actor.account_id
    async with portal.database.transaction(account) as tx:
        found = await keys.list_keys(tx, account, keys.KeyFilter(), most=100)
        return len(found), len(await keys.list_secrets(tx, account, [key.id for key in found]))


async def create_key(tab: Page, name: str) -> str:
    await tab.goto("/keys/new")
    await tab.get_by_label("Name").fill(name)
    await tab.get_by_role("button", name="Create key").click()
    return await tab.locator("#secret").inner_text()


async def test_reload_and_back_make_and_end_nothing(tab: Page, portal: RunningPortal, login: Login) -> None:
    secret = await create_key(tab, "Reload me")
    for _ in range(2):
        await tab.reload()
        assert await tab.locator("#secret").inner_text() == secret
    await tab.go_back()
    await tab.go_forward()
    assert await tab.locator("#secret").inner_text() == secret
    assert await count_secrets(portal, login) == (1, 1)
    reveal = tab.url
    await tab.get_by_role("button", name="I have stored it").click()
    await expect(tab.get_by_text("The key is ready.").first).to_be_visible()
    await tab.reload()
    await expect(tab.get_by_text("The key is ready.")).to_have_count(0)
    await tab.goto(reveal)
    await expect(tab.get_by_role("heading", name="No longer shown")).to_be_visible()
    await expect(tab.get_by_role("link", name="Keys", exact=True)).to_be_visible()

    await tab.goto("/keys")
    await tab.get_by_role("link", name="Reload me").click()
    await tab.get_by_role("button", name="Rotate and show the new secret").click()
    await tab.locator("#secret").wait_for()
    await tab.reload()
    await tab.go_back()
    await tab.go_forward()
    assert await count_secrets(portal, login) == (1, 2)


async def test_two_tabs_and_a_form_that_is_sent_twice(tab: Page, portal: RunningPortal, login: Login) -> None:
    await tab.goto("/keys/new")
    await tab.get_by_label("Name").fill("Twice")
    form = "document.querySelector('main form.form')"
    await tab.evaluate(f"{form}.requestSubmit(); delete {form}.dataset.sent; {form}.requestSubmit()")
    await tab.locator("#secret").wait_for()
    assert await count_secrets(portal, login) == (1, 1)
    second = await tab.context.new_page()
    await second.goto(tab.url)
    assert await second.locator("#secret").inner_text() == await tab.locator("#secret").inner_text()
    await second.get_by_role("button", name="I have stored it").click()
    await tab.reload()
    await expect(tab.get_by_role("heading", name="No longer shown")).to_be_visible()


async def test_a_stale_tab_saves_over_nothing(tab: Page, login: Login) -> None:
    await create_key(tab, "Shared")
    await tab.get_by_role("button", name="I have stored it").click()
    stale = await tab.context.new_page()
    await stale.goto(tab.url)
    await tab.get_by_label("Allowed addresses").fill("203.0.113.0/24")
    await tab.get_by_role("button", name="Save").click()
    await expect(tab.get_by_text("Saved.").first).to_be_visible()
    await stale.get_by_label("Name").fill("Renamed")
    await stale.get_by_role("button", name="Save").click()
    await expect(stale.get_by_text("changed allowed addresses")).to_be_visible()
    await expect(stale.get_by_label("Name")).to_have_value("Renamed")
    await expect(stale.get_by_label("Allowed addresses")).to_have_value("203.0.113.0/24")
    await stale.get_by_role("button", name="Save").click()
    await expect(stale.get_by_role("heading", name="Renamed")).to_be_visible()
    await expect(stale.get_by_label("Allowed addresses")).to_have_value("203.0.113.0/24")


async def test_a_pasted_secret_is_nowhere(tab: Page, login: Login) -> None:
    secret = await create_key(tab, "Found in a log")
    await tab.get_by_role("button", name="I have stored it").click()
    addresses: list[str] = []
    tab.on("request", lambda request: addresses.append(request.url))
    tab.on("framenavigated", lambda frame: addresses.append(frame.url))
    await tab.goto("/keys")
    await tab.get_by_role("searchbox").fill(secret[:20])
    await expect(tab.locator("tbody tr")).to_have_count(1)
    await expect(tab).to_have_url(re.compile(r"/keys\?q=pk_live_"))
    await tab.get_by_role("searchbox").fill(secret)
    await expect(tab.get_by_text("This is the key that you searched for.").first).to_be_visible()
    await expect(tab.get_by_role("heading", name="Found in a log")).to_be_visible()
    assert secret[12:20] not in await tab.content()
    assert not [address for address in addresses if secret[8:17] in address]


async def test_a_form_is_kept_through_signing_in_again(tab: Page, portal: RunningPortal, login: Login) -> None:
    await tab.goto("/keys/new")
    await tab.get_by_label("Name").fill("Typed before")
    await tab.get_by_label("Scopes").fill("orders:write\nsearch:read")
    await tab.context.clear_cookies()
    await tab.get_by_role("button", name="Create key").click()
    await expect(tab.get_by_text("What you typed was not sent and is kept")).to_be_visible()
    await tab.get_by_label("E-mail address").fill(login.email)
    await tab.get_by_label("Password").fill(PASSWORD)
    await tab.get_by_role("button", name="Sign in").click()
    await expect(tab.get_by_text("You were signed out before this was sent.")).to_be_visible()
    await expect(tab.get_by_label("Name")).to_have_value("Typed before")
    await expect(tab.get_by_label("Scopes")).to_have_value("orders:write\nsearch:read")
    assert await count_secrets(portal, login) == (0, 0)
    await tab.get_by_role("button", name="Create key").click()
    await tab.locator("#secret").wait_for()
    assert await count_secrets(portal, login) == (1, 1)


async def test_a_failure_is_seen_and_can_be_tried_again(tab: Page, filled: tuple[Login, dict[str, str]]) -> None:
    await sign_in(tab, filled[0].email)
    await tab.goto("/usage")
    await tab.context.set_offline(True)
    await tab.get_by_label("Group by").select_option("key")
    await expect(tab.get_by_role("alert")).to_contain_text("This could not be loaded")
    await expect(tab.get_by_role("heading", name="By key")).to_have_count(0)
    await tab.context.set_offline(False)
    await tab.get_by_role("button", name="Try again").click()
    await expect(tab.get_by_role("heading", name="By key")).to_be_visible()
    await expect(tab.get_by_role("alert")).to_be_hidden()


async def test_refreshing_after_the_session_keeps_what_is_typed(tab: Page, login: Login) -> None:
    await create_key(tab, "Left open")
    await tab.get_by_role("button", name="I have stored it").click()
    await tab.get_by_label("Scopes").fill("half:typed")
    await tab.context.clear_cookies()
    await expect(tab.get_by_role("alert")).to_contain_text("You are signed out", timeout=15_000)
    await expect(tab.get_by_label("Scopes")).to_have_value("half:typed")
    await expect(tab.get_by_role("link", name="Sign in")).to_be_visible()
