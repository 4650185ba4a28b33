"""The browser's time zone is proposed at sign-up, and a person may choose another."""

import pytest
from playwright.async_api import Browser, Page, expect

from portal.core.ids import new_id
from tests.e2e.running import RunningPortal

pytestmark = pytest.mark.e2e


async def _sign_up(tab: Page) -> None:
    await tab.get_by_label("Your name").fill("Ann Lee")
    await tab.get_by_label("Company or project").fill("Northwind Labs")
    await tab.get_by_label("E-mail address").fill(f"{new_id('t').lower()}@example.com")
    await tab.get_by_label("Password").fill("a horse of another colour")
    await tab.get_by_role("button", name="Create account").click()


@pytest.mark.parametrize(
    ("zone", "proposed"), [("Pacific/Auckland", "Pacific/Auckland"), ("Asia/Kolkata", "Asia/Calcutta"), ("UTC", "UTC")]
)
async def test_the_browsers_zone_is_proposed(
    chromium: Browser, portal: RunningPortal, zone: str, proposed: str
) -> None:
    context = await chromium.new_context(base_url=portal.url, timezone_id=zone)
    tab = await context.new_page()
    await tab.goto("/sign-up")
    await expect(tab.get_by_label("Time zone")).to_have_value(proposed)
    await context.close()


async def test_another_zone_is_chosen_changed_and_kept(chromium: Browser, portal: RunningPortal) -> None:
    context = await chromium.new_context(base_url=portal.url, timezone_id="Pacific/Auckland")
    tab = await context.new_page()
    await tab.goto("/sign-up")
    await tab.get_by_label("Time zone").select_option("Europe/Lisbon")
    await _sign_up(tab)
    await expect(tab.get_by_role("heading", name="Your first key")).to_be_visible()
    await tab.goto("/settings")
    await expect(tab.get_by_label("Time zone from the next billing period on")).to_have_value("Europe/Lisbon")
    await tab.get_by_label("Time zone from the next billing period on").select_option("Asia/Tokyo")
    await tab.get_by_role("button", name="Change time zone").click()
    await expect(tab.get_by_text("The time zone will be Asia/Tokyo from the next").first).to_be_visible()
    await tab.get_by_role("button", name="Keep Europe/Lisbon").click()
    await expect(tab.get_by_text("The time zone stays Europe/Lisbon.").first).to_be_visible()
    await context.close()
