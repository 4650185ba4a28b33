"""Plain http on a name that is not this machine's: browsers send no Sec-Fetch-Site there, only Origin."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright, expect

from tests.e2e.conftest import ARGUMENTS, CHROMIUM
from tests.e2e.running import PASSWORD, RunningPortal, new_login

pytestmark = pytest.mark.e2e
RULES = "MAP portal.test 127.0.0.1, MAP elsewhere.test 127.0.0.1"
FORM = """<form method="post" action="{url}/keys/new">
<input name="name" value="Stolen"><input name="environment" value="live"><input name="expiry" value="never">
<button>Win a prize</button></form>"""


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        arguments = [*ARGUMENTS, f"--host-resolver-rules={RULES}"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        await browser.close()


@pytest.fixture
async def signed_in(browser: Browser, portal: RunningPortal) -> AsyncIterator[BrowserContext]:
    """A profile that has signed in by name."""
    login = await new_login(portal.database)
    context = await browser.new_context(base_url=named(portal))
    tab = await context.new_page()
    await tab.goto("/sign-in")
    await tab.get_by_label("E-mail address").fill(login.email)
    await tab.get_by_label("Password").fill(PASSWORD)
    await tab.get_by_role("button", name="Sign in").click()
    await expect(tab.get_by_role("heading", name="Overview")).to_be_visible()
    yield context
    await context.close()


def named(portal: RunningPortal) -> str:
    return portal.url.replace("127.0.0.1", "portal.test")


async def test_forms_work_over_plain_http(signed_in: BrowserContext) -> None:
    tab = await signed_in.new_page()
    sent: list[dict[str, str]] = []
    tab.on("request", lambda request: sent.append(request.headers) if request.method == "POST" else None)
    await tab.goto("/keys/new")
    await tab.get_by_label("Name").fill("Over http")
    await tab.get_by_role("button", name="Create key").click()
    await expect(tab.locator("#secret")).to_be_visible()
    await tab.goto("/keys")
    await expect(tab.get_by_role("link", name="Over http")).to_be_visible()
    await tab.locator("details.account summary").click()
    await tab.get_by_role("button", name="Sign out").click()
    await expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()
    assert sent
    assert not any("sec-fetch-site" in headers for headers in sent)


@pytest.mark.parametrize("page", ["http://elsewhere.test/", "data:text/html,"])
async def test_a_form_on_another_site_is_refused(signed_in: BrowserContext, portal: RunningPortal, page: str) -> None:
    tab = await signed_in.new_page()
    form = FORM.format(url=named(portal))
    await tab.route("http://elsewhere.test/", lambda route: route.fulfill(body=form, content_type="text/html"))
    await tab.goto(page if page.startswith("http") else page + form)
    async with tab.expect_response(lambda response: response.request.method == "POST") as answered:
        await tab.get_by_role("button", name="Win a prize").click()
    assert (await answered.value).status == 403
    await expect(tab.get_by_text("sent from another site. Nothing was changed.")).to_be_visible()
    await tab.goto(f"{named(portal)}/keys")
    await expect(tab.get_by_text("Stolen")).to_have_count(0)
