"""GraphiQL in a real browser: it answers, it subscribes, and nothing leaves this origin (the tab's own watch)."""

import re
from urllib.parse import urlencode

import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import sign_in
from tests.e2e.running import RunningPortal, new_login

pytestmark = pytest.mark.e2e


async def open_explorer(tab: Page, portal: RunningPortal, query: str) -> None:
    login = await new_login(portal.database, "Explorers")
    await sign_in(tab, login.email)
    await tab.get_by_role("link", name="Explorer").click()
    await tab.wait_for_url("**/graphql")
    await tab.goto(f"/graphql?{urlencode({'query': query})}")
    await tab.locator(".graphiql-query-editor .CodeMirror").first.wait_for()


async def run(tab: Page) -> None:
    await tab.get_by_role("button", name=re.compile("Execute query")).click()


async def test_a_query_runs(tab: Page, portal: RunningPortal) -> None:
    await open_explorer(tab, portal, "{ viewer { account { name } role } }")
    await run(tab)
    await expect(tab.locator(".result-window")).to_contain_text('"name": "Explorers"')


async def test_the_schema_is_shown(tab: Page, portal: RunningPortal) -> None:
    await open_explorer(tab, portal, "{ viewer { role } }")
    await tab.get_by_role("button", name="Show Documentation Explorer").click()
    await tab.locator(".graphiql-doc-explorer").get_by_role("link", name="Query", exact=True).click()
    await expect(tab.locator(".graphiql-doc-explorer")).to_contain_text("Keys of the account, newest first.")


async def test_a_subscription_sends_events_until_it_is_stopped(tab: Page, portal: RunningPortal) -> None:
    await open_explorer(tab, portal, "subscription { usageTicks { calls quotaUsed } }")
    await run(tab)
    await expect(tab.locator(".result-window")).to_contain_text('"quotaUsed": 0')
    await tab.get_by_role("button", name=re.compile("Stop query")).click()
    await expect(tab.get_by_role("button", name=re.compile("Execute query"))).to_be_visible()


async def test_it_is_for_signed_in_people(tab: Page, portal: RunningPortal) -> None:
    await tab.goto("/graphql")
    await tab.wait_for_url("**/sign-in?next=/graphql")
    await expect(tab.locator(".result-window")).to_have_count(0)
