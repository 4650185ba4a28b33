"""The first page: with nothing yet, with use, and what each role sees of it."""

from collections.abc import Awaitable, Callable

import pytest

from portal.core.actor import Role
from tests.web.conftest import Browser

Browsers = Callable[..., Awaitable[Browser]]


@pytest.mark.fast
async def test_a_new_account_is_shown_how_to_begin(ann: Browser) -> None:
    page = await ann.get("/")
    assert page.status_code == 200
    assert "Your first key" in page.text
    assert "10,000 of 10,000" in page.text
    assert "Recent activity" in page.text
    assert "signed in" in page.text


async def test_who_may_not_read_the_log_sees_the_rest(browsers: Browsers) -> None:
    viewer = await browsers(Role.VIEWER)
    page = await viewer.get("/")
    assert page.status_code == 200
    assert "Recent activity" not in page.text
    assert 'href="/activity"' not in page.text
    assert 'href="/keys/new"' not in page.text


async def test_with_keys_it_shows_requests(ann: Browser) -> None:
    await ann.create_key()
    page = await ann.get("/")
    assert "Your first key" not in page.text
    assert "No requests in the last 30 days" in page.text
    assert "created the key" in page.text


async def test_htmx_gets_the_main_part_alone(ann: Browser) -> None:
    page = await ann.get("/", HX_Request="true")
    assert "<!doctype" not in page.text
    assert 'id="overview"' in page.text
