"""axe finds nothing and nothing overflows on every page: wide in light, narrow in dark and, without axe, at 320 px."""

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
ONLY_VIOLATIONS = {"resultTypes": ["violations"]}
NARROWEST = 320


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
    results = await Axe().run(page, options=ONLY_VIOLATIONS)
    found = [
        f"{name}: {violation['id']}: {node['html'][:160]}"
        for violation in results.response["violations"]
        for node in violation["nodes"]
    ]
    size = page.viewport_size
    assert size
    found += await _overflow(page, name)
    if size["width"] == min(WIDTHS):
        await page.set_viewport_size({"width": NARROWEST, "height": size["height"]})
        found += await _overflow(page, name)
        await page.set_viewport_size(size)
    return found


async def _overflow(page: Page, name: str) -> list[str]:
    beyond, width = await page.evaluate("[document.documentElement.scrollWidth - innerWidth, innerWidth]")
    return [f"{name} overflows {width} px by {beyond} px"] if beyond > 0 else []
