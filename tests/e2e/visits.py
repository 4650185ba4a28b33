"""Every page that there is to look at, by name."""

from playwright.async_api import Page

from tests.e2e.running import Login, RunningPortal, new_login, new_session

SCHEMES = ("light", "dark")
WIDTHS = (1280, 375)
PLAIN = {"sign_in": "/sign-in", "sign_up": "/sign-up"}


def addresses(keys: dict[str, str]) -> dict[str, str]:
    """Pages of a signed-in person, by name."""
    first = keys["Checkout production"]
    return {
        "overview": "/",
        "plan": "/plan",
        "invoices": "/invoices",
        "invoice": f"/invoices/{keys['invoice']}",
        "invoice_unknown": "/invoices/inv_06C4A9VVRNH4SWM86X1PG3KH02",
        "activity": "/activity",
        "activity_of_a_key": f"/activity?kind=key&subject={first}",
        "settings": "/settings",
        "gateways": "/settings/gateways",
        "keys": "/keys",
        "keys_none_found": "/keys?q=nothing-is-called-so",
        "key_new": "/keys/new",
        "key_rotating": f"/keys/{keys['Mobile app']}",
        "key_expiring": f"/keys/{first}",
        "key_paused": f"/keys/{keys['Old staging']}",
        "key_revoked": f"/keys/{keys['Partner sandbox with a rather long name']}",
        "usage_30d": "/usage",
        "usage_24h_by_key": "/usage?range=24h&group=key",
        "usage_7d_by_endpoint": "/usage?range=7d&group=endpoint",
        "usage_custom_by_outcome": f"/usage?range=custom&group=outcome&key={first}",
        "requests": "/usage/requests",
        "requests_custom_of_key": f"/usage/requests?range=custom&key={first}&environment=live",
        "requests_none": "/usage/requests?endpoint=nothing",
        "request_unknown": "/usage/requests/req_06C4A9VVRNH4SWM86X1PG3KH02",
        "explorer": "/graphql",
        "not_found": "/nothing/here",
    }


async def open_reveal(page: Page) -> None:
    """Creates a key."""
    await page.goto("/keys/new")
    await page.get_by_label("Name").fill("Search service")
    await page.get_by_role("button", name="Create key").click()
    await page.locator("#secret").wait_for()


async def open_token(page: Page) -> None:
    """Makes a personal token."""
    await page.goto("/settings")
    await page.get_by_label("New token for").fill("Nightly report")
    await page.get_by_text("Selected scopes").click()
    await page.get_by_text("See usage and quota").click()
    await page.get_by_role("button", name="Create token").click()
    await page.locator("#secret").wait_for()


async def open_token_refused(page: Page) -> None:
    """A token that may nothing."""
    await page.goto("/settings")
    await page.get_by_label("New token for").fill("Nightly report")
    await page.get_by_text("Selected scopes").click()
    await page.get_by_role("button", name="Create token").click()
    await page.locator("#scopes-problem").wait_for()


async def open_refused(page: Page) -> None:
    """A form with a mistake."""
    await page.goto("/keys/new")
    await page.get_by_label("Name").fill("Search service")
    await page.get_by_label("Allowed addresses").fill("300.1.2.3")
    await page.get_by_role("button", name="Create key").click()
    await page.locator("[aria-invalid=true]").wait_for()


async def open_denied(page: Page) -> None:
    """A single request that a limit denied."""
    await page.goto("/usage/requests?outcome=RATE_LIMITED")
    await page.locator(".log .lead a").first.click()
    await page.get_by_text("Why this was denied").wait_for()


async def open_empty(page: Page, portal: RunningPortal) -> None:
    """The list of an account without keys."""
    await enter(page, portal, await new_login(portal.database, "Northwind Empty"))
    await page.goto("/keys")


async def enter(page: Page, portal: RunningPortal, login: Login) -> None:
    """Signed in without the form."""
    token = await new_session(portal.database, login)
    await page.context.add_cookies([{"name": "session", "value": token, "url": portal.url}])
