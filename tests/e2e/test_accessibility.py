"""axe finds nothing and nothing overflows on every page: wide in light, narrow in dark."""

from collections.abc import Awaitable, Callable

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from tests.e2e.running import Login, RunningPortal
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

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(("scheme", "width"), [*zip(SCHEMES, WIDTHS, strict=True)])
async def test_every_page(
    chromium: Browser, portal: RunningPortal, filled: tuple[Login, dict[str, str]], scheme: str, width: int
) -> None:
    context = await chromium.new_context(
        base_url=portal.url,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 800},
        reduced_motion="reduce",
    )
    page = await context.new_page()
    found: list[str] = []
    for name, address in PLAIN.items():
        found += await _look(page, name, _go_to(address))
    await enter(page, portal, filled[0])
    for name, address in addresses(filled[1]).items():
        found += await _look(page, name, _go_to(address))
    found += await _look(page, "request_denied", open_denied)
    found += await _look(page, "key_refused", open_refused)
    found += await _look(page, "key_reveal", open_reveal)
    found += await _look(page, "token_reveal", open_token)
    found += await _look(page, "token_refused", open_token_refused)
    found += await _look(page, "keys_empty", lambda page: open_empty(page, portal))
    await context.close()
    assert not found, "\n".join(found)


def _go_to(address: str) -> Callable[[Page], Awaitable[object]]:
    return lambda page: page.goto(address)


async def _look(page: Page, name: str, open_page: Callable[[Page], Awaitable[object]]) -> list[str]:
    await open_page(page)
    await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    results = await Axe().run(page)
    found = [
        f"{name}: {violation['id']}: {node['html'][:160]}"
        for violation in results.response["violations"]
        for node in violation["nodes"]
    ]
    beyond = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return [*found, f"{name} overflows by {beyond} px"] if beyond > 0 else found


async def test_nothing_overflows_at_320_px(
    chromium: Browser, portal: RunningPortal, filled: tuple[Login, dict[str, str]]
) -> None:
    page = await chromium.new_page(base_url=portal.url, viewport={"width": 320, "height": 640})
    await enter(page, portal, filled[0])
    beyond = {}
    for name, address in addresses(filled[1]).items():
        await page.goto(address)
        beyond[name] = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    await page.close()
    assert not {name: width for name, width in beyond.items() if width > 0}
