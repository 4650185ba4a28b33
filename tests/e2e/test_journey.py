"""The main job in a browser: sign up, create a key, store it, find it, rotate, pause, revoke; look at usage."""

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from playwright.async_api import Page, expect

from portal.core.ids import new_id
from tests.e2e.conftest import sign_in
from tests.e2e.running import Login, RunningPortal, new_login

pytestmark = pytest.mark.e2e


async def test_a_new_developer_gets_a_key_and_manages_it(tab: Page) -> None:
    await _sign_up(tab)
    await tab.get_by_role("link", name="Create key").click()
    await tab.get_by_label("Name").fill("Checkout production")
    await tab.get_by_label("Scopes").fill("not a scope!")
    await tab.get_by_role("button", name="Create key").click()
    await expect(tab.get_by_label("Scopes")).to_be_focused()
    await expect(tab.get_by_label("Name")).to_have_value("Checkout production")
    await tab.get_by_label("Scopes").fill("orders:write\nsearch:read")
    await tab.get_by_text("90 days").click()
    await tab.get_by_role("button", name="Create key").click()
    secret = await _store_the_secret(tab)

    await expect(tab.get_by_role("heading", name="Checkout production")).to_be_visible()
    assert secret not in await tab.content()
    await tab.locator("summary", has_text="Pause").click()
    await expect(tab.get_by_text("Checks with this key are denied at once")).to_be_visible()
    await tab.get_by_role("button", name="Pause this key").click()
    await expect(tab.get_by_text("Paused since")).to_be_visible()
    await tab.get_by_role("button", name="Resume").click()
    await expect(tab.get_by_text("Resumed.").first).to_be_visible()

    await tab.get_by_role("button", name="Rotate and show the new secret").click()
    assert await tab.locator("#secret").inner_text() != secret
    await expect(tab.get_by_text("works until")).to_be_visible()
    await tab.get_by_role("link", name="To this key").click()
    await expect(tab.locator("#secrets tbody tr")).to_have_count(2)

    revoke = tab.get_by_role("button", name="Revoke this key")
    await expect(revoke).to_be_disabled()
    await tab.get_by_label("to confirm").fill("Checkout production")
    await revoke.click()
    await expect(tab.get_by_text("This cannot be undone")).to_be_visible()
    await expect(tab.get_by_role("button", name="Save")).to_have_count(0)


async def _sign_up(tab: Page) -> None:
    await tab.goto("/")
    await tab.get_by_role("link", name="Create an account").click()
    await tab.get_by_label("Your name").fill("Ann Lee")
    await tab.get_by_label("Company or project").fill("Northwind Labs")
    await tab.get_by_label("E-mail address").fill(f"{new_id('t').lower()}@example.com")
    await tab.get_by_label("Password").fill("a horse of another colour")
    await tab.get_by_role("button", name="Create account").click()
    await expect(tab.get_by_role("heading", name="Your first key")).to_be_visible()


async def _store_the_secret(tab: Page) -> str:
    """Copies it, looks at an example, says that it is stored."""
    secret = await tab.locator("#secret").inner_text()
    assert re.fullmatch(r"pk_live_[0-9A-Za-z]{36}", secret)
    await tab.locator("[data-copy=secret]").click()
    await expect(tab.get_by_role("status")).to_have_text("Key copied")
    assert await tab.evaluate("navigator.clipboard.readText()") == secret
    await tab.locator("label", has_text="Python").click()
    await expect(tab.locator("#s-python")).to_be_visible()
    await expect(tab.locator("#s-env")).to_be_hidden()
    await tab.get_by_role("button", name="I have stored it").click()
    return secret


async def test_typing_searches_without_loading_the_page(tab: Page, filled: tuple[Login, dict[str, str]]) -> None:
    await sign_in(tab, filled[0].email)
    await tab.get_by_role("link", name="Keys", exact=True).click()
    await expect(tab.get_by_role("heading", name="Keys")).to_be_visible()
    await tab.keyboard.press("/")
    await expect(tab.get_by_role("searchbox")).to_be_focused()
    await tab.keyboard.type("night")
    await expect(tab.locator("tbody tr")).to_have_count(1)
    await expect(tab.get_by_role("status")).to_have_text("1 key")
    await expect(tab.get_by_role("searchbox")).to_be_focused()
    assert tab.url.endswith("/keys?q=night")
    await tab.get_by_role("link", name="Test", exact=True).click()
    await expect(tab.get_by_text("No key matches")).to_be_visible()
    assert tab.url.endswith("/keys?q=night&environment=test")
    await tab.go_back()
    await expect(tab.locator("tbody tr")).to_have_count(1)


async def test_usage_keeps_every_choice_in_the_address(tab: Page, filled: tuple[Login, dict[str, str]]) -> None:
    await sign_in(tab, filled[0].email)
    await tab.get_by_role("link", name="Usage", exact=True).click()
    await expect(tab.get_by_role("img", name=re.compile("^Requests per day"))).to_be_visible()
    await tab.get_by_label("Group by").focus()
    await tab.get_by_label("Group by").select_option("endpoint")
    await expect(tab.get_by_role("heading", name="By endpoint")).to_be_visible()
    await expect(tab.get_by_label("Group by")).to_be_focused()
    await tab.get_by_role("link", name="7 d").click()
    await expect(tab.get_by_role("heading", name="Requests per hour")).to_be_visible()
    assert "range=7d" in tab.url
    assert "group=endpoint" in tab.url
    await tab.reload()
    await expect(tab.get_by_role("heading", name="By endpoint")).to_be_visible()


@pytest.mark.parametrize(
    ("button", "kind"), [("CSV", "csv"), ("CSV for Excel", "csv"), ("JSON Lines", "jsonl"), ("Parquet", "parquet")]
)
async def test_an_export_shows_its_progress(
    tab: Page, filled: tuple[Login, dict[str, str]], tmp_path: Path, button: str, kind: str
) -> None:
    await sign_in(tab, filled[0].email)
    await tab.goto("/usage")
    total = (await tab.locator(".figures dd").first.inner_text()).replace(",", "")
    async with tab.expect_download() as begun:
        await tab.get_by_role("button", name=button, exact=True).click()
    await (await begun.value).save_as(tmp_path / "file")
    assert (await begun.value).suggested_filename.endswith(f".{kind}")
    await expect(tab.locator(".progress")).to_contain_text("Done: usage-events-")
    data = (tmp_path / "file").read_bytes()
    if kind == "parquet":
        assert pq.read_table(tmp_path / "file").num_rows == int(total)
    else:
        assert data.count(b"\n") == int(total) + (kind == "csv")


async def test_why_was_this_denied(tab: Page, filled: tuple[Login, dict[str, str]]) -> None:
    await sign_in(tab, filled[0].email)
    await tab.goto("/usage")
    await tab.get_by_role("link", name="RATE_LIMITED").click()
    await tab.get_by_label("Environment").select_option("live")
    await expect(tab).to_have_url(re.compile("environment=live"))
    wanted = await tab.locator(".log .clip").first.inner_text()
    await tab.keyboard.press("Escape")
    await tab.get_by_role("searchbox").fill(wanted)
    await tab.keyboard.press("Enter")
    await expect(tab.get_by_text("Why this was denied.")).to_be_visible()
    assert tab.url.endswith(wanted)


async def test_an_ended_session_leads_back_to_the_page_after_signing_in(tab: Page, portal: RunningPortal) -> None:
    login = await new_login(portal.database)
    await sign_in(tab, login.email)
    await tab.context.clear_cookies()
    await tab.goto("/usage?range=24h")
    assert "/sign-in?next=" in tab.url
    await tab.get_by_label("E-mail address").fill(login.email)
    await tab.get_by_label("Password").fill("correct horse battery")
    await tab.get_by_role("button", name="Sign in").click()
    await tab.wait_for_url("**/usage?range=24h")


async def test_sign_out_ends_the_session(tab: Page, portal: RunningPortal) -> None:
    login = await new_login(portal.database)
    await sign_in(tab, login.email)
    await tab.locator(".account summary").click()
    await tab.get_by_role("button", name="Sign out").click()
    await expect(tab.get_by_text("You are signed out.")).to_be_visible()
    await tab.goto("/keys")
    assert "/sign-in" in tab.url


async def test_a_token_is_made_stored_and_revoked(tab: Page, portal: RunningPortal) -> None:
    login = await new_login(portal.database)
    await sign_in(tab, login.email)
    await tab.get_by_role("link", name="Settings", exact=True).click()
    await tab.get_by_label("New token for").fill("Nightly report")
    await tab.get_by_text("Selected scopes").click()
    await tab.get_by_text("See keys").click()
    await tab.get_by_role("button", name="Create token").click()
    token = await tab.locator("#secret").inner_text()
    assert token.startswith("pat_")
    await expect(tab.get_by_text("for keys:read only")).to_be_visible()
    await tab.get_by_role("button", name="I have stored it").click()
    assert token not in await tab.content()
    await tab.locator("summary", has_text="Revoke").click()
    await tab.get_by_role("button", name="Revoke this token").click()
    await expect(tab.get_by_text("Revoked. The token is refused from now on.").first).to_be_visible()
    await tab.get_by_role("link", name="Activity", exact=True).click()
    await expect(tab.get_by_text("revoked a personal token")).to_be_visible()
    await tab.get_by_label("What").select_option("key")
    await expect(tab.get_by_text("Nothing here")).to_be_visible()
