"""Changing the plan in a browser: the cost before the button, undo, and a change that waits."""

import pytest
from playwright.async_api import Page, expect

from portal.core.ids import new_id

pytestmark = pytest.mark.e2e


async def test_a_plan_is_taken_undone_taken_again_and_left_with_the_next_month(tab: Page) -> None:
    await tab.goto("/sign-up")
    await tab.get_by_label("Your name").fill("Ann Lee")
    await tab.get_by_label("Company or project").fill("Northwind Labs")
    await tab.get_by_label("E-mail address").fill(f"{new_id('t').lower()}@example.com")
    await tab.get_by_label("Password").fill("a horse of another colour")
    await tab.get_by_role("button", name="Create account").click()
    await tab.goto("/plan")
    await tab.get_by_text("Change to Pro", exact=True).click()
    await expect(tab.get_by_text("for the days left of this month").first).to_be_visible()
    await tab.get_by_role("button", name="Change to Pro now").click()
    await expect(tab.get_by_role("heading", name="Today’s upgrade")).to_be_visible()
    await tab.get_by_role("button", name="Undo, back to Free").click()
    await expect(tab.get_by_text("The upgrade is undone").first).to_be_visible()
    await tab.get_by_text("Change to Pro", exact=True).click()
    await tab.get_by_role("button", name="Change to Pro now").click()
    await tab.get_by_text("Change to Free", exact=True).click()
    await tab.get_by_role("button", name="Change with the next month").click()
    await expect(tab.get_by_role("heading", name="With the next month")).to_be_visible()
    await tab.get_by_role("button", name="Keep Pro").click()
    await expect(tab.get_by_text("Pro stays your plan.").first).to_be_visible()
