"""A running portal and a real Chromium. Playwright's own loop would fight with that of the other tests: async it is."""

import shutil
from collections.abc import AsyncIterator, Callable

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from tests.e2e.running import PASSWORD, Login, RunningPortal, fill, new_login, running_portal

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "chromium")
MEANT = (
    "status of 401",
    "status of 409",
    "status of 410",
    "status of 422",
    "ERR_INTERNET_DISCONNECTED",
    "htmx:",
    "Error Code 401",
)
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
]


@pytest.fixture(scope="session")
async def portal(
    services: EmbeddedServices, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningPortal]:
    """`database` is asked for because it migrates."""
    folder = tmp_path_factory.mktemp("e2e")
    async with running_portal(services.database_url, list(services.redis_urls), folder) as portal:
        yield portal


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
async def filled(portal: RunningPortal) -> tuple[Login, dict[str, str]]:
    """An account with keys in every state and a month of usage; tests only look at it."""
    login = await new_login(portal.database)
    return login, await fill(portal.database, login)


@pytest.fixture
async def tab(chromium: Browser, portal: RunningPortal) -> AsyncIterator[Page]:
    """A fresh browser profile. Fails the test for an error in the console and for a request to anywhere else."""
    context = await chromium.new_context(base_url=portal.url)
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = await context.new_page()
    wrong: list[str] = []
    page.on("console", _note_errors(wrong))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", _note_strangers(wrong, portal.url))
    yield page
    await context.close()
    assert not wrong, wrong


def _note_errors(wrong: list[str]) -> Callable[[ConsoleMessage], None]:
    """Chromium also reports each refused form (401, 409, 410, 422) and what a test cuts off, which is meant."""

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(one in message.text for one in MEANT):
            wrong.append(message.text)

    return note


def _note_strangers(wrong: list[str], url: str) -> Callable[[Request], None]:
    def note(request: Request) -> None:
        if not request.url.startswith((url, "data:")):
            wrong.append(f"request to {request.url}")

    return note


async def sign_in(page: Page, email: str) -> None:
    await page.goto("/sign-in")
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("heading", name="Overview").wait_for()
