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
        "explorer": "/graphql",
        "not_found": "/nothing/here",
    }


async def open_reveal(page: Page) -> None:
    """Creates a key."""
    await page.goto("/keys/new")
    await page.get_by_label("Name").fill("Search service")
    await page.get_by_role("button", name="Create key").click()
    await page.locator("#secret").wait_for()


async def open_refused(page: Page) -> None:
    """A form with a mistake."""
    await page.goto("/keys/new")
    await page.get_by_label("Name").fill("Search service")
    await page.get_by_label("Allowed addresses").fill("300.1.2.3")
    await page.get_by_role("button", name="Create key").click()
    await page.locator("[aria-invalid=true]").wait_for()


async def open_empty(page: Page, portal: RunningPortal) -> None:
    """The list of an account without keys."""
    await enter(page, portal, await new_login(portal.database, "Northwind Empty"))
    await page.goto("/keys")


async def enter(page: Page, portal: RunningPortal, login: Login) -> None:
    """Signed in without the form."""
    token = await new_session(portal.database, login)
    await page.context.add_cookies([{"name": "session", "value": token, "url": portal.url}])
