"""`python -m tests.e2e.screenshots DIR`: every page in light and dark, wide and narrow, as PNG files to look at."""

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from migrations.run import migrate
from portal import plans
from portal.core.database import Database
from portal.core.embedded import start_services
from portal.usage import ensure_partitions
from tests.e2e.conftest import ARGUMENTS, CHROMIUM
from tests.e2e.running import Login, RunningPortal, fill, new_login, running_portal
from tests.e2e.visits import (
    PLAIN,
    SCHEMES,
    WIDTHS,
    addresses,
    enter,
    open_denied,
    open_empty,
    open_refused,
    open_reveal,
    open_token,
    open_token_refused,
)


async def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as data:
        services = await start_services(Path(data) / "services", durable=False)
        try:
            await _prepare(services.database_url)
            portal_data = Path(data) / "portal"
            async with running_portal(services.database_url, list(services.redis_urls), portal_data) as portal:
                await _shoot_all(portal, folder)
        finally:
            await services.stop()


async def _prepare(database_url: str) -> None:
    await migrate(database_url)
    database = Database(database_url)
    async with database.transaction() as tx:
        await plans.ensure_catalogue(tx)
        now = tx.now
    await ensure_partitions(database, now)
    await database.close()


async def _shoot_all(portal: RunningPortal, folder: Path) -> None:
    login = await new_login(portal.database)
    keys = await fill(portal.database, login)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for scheme in SCHEMES:
            for width in WIDTHS:
                await _shoot(browser, portal, (login, keys), folder / f"{scheme}-{width}")
        await browser.close()


async def _shoot(browser: Browser, portal: RunningPortal, filled: tuple[Login, dict[str, str]], folder: Path) -> None:
    scheme, width = folder.name.split("-")
    page = await browser.new_page(
        base_url=portal.url,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": int(width), "height": 800},
    )
    for name, address in PLAIN.items():
        await page.goto(address)
        await _save(page, folder, name)
    await enter(page, portal, filled[0])
    for name, address in addresses(filled[1]).items():
        await page.goto(address)
        await _save(page, folder, name)
    await open_denied(page)
    await _save(page, folder, "request_denied")
    await open_refused(page)
    await _save(page, folder, "key_refused")
    await open_reveal(page)
    await _save(page, folder, "key_reveal")
    await open_token(page)
    await _save(page, folder, "token_reveal")
    await open_token_refused(page)
    await _save(page, folder, "token_refused")
    await page.goto("/usage")
    for summary in await page.locator("details:not(.account) > summary").all():
        await summary.click()
    await _save(page, folder, "usage_opened")
    await open_empty(page, portal)
    await _save(page, folder, "keys_empty")
    await page.goto("/")
    await _save(page, folder, "overview_empty")
    await page.close()


async def _save(page: Page, folder: Path, name: str) -> None:
    await page.screenshot(path=folder.parent / f"{name}-{folder.name}.png", full_page=True)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots")
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target))
