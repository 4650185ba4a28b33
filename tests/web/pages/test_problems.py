"""What somebody reads where something cannot be: the right remedy, and the way on."""

import pytest

from tests.web.conftest import Browser

NAVIGATION = '<nav aria-label="Portal">'


async def test_staffs_pages_say_so_and_keep_the_navigation(ann: Browser, anonymous: Browser) -> None:
    page = await ann.get("/settings/gateways")
    assert page.status_code == 403
    assert "This is for staff of the provider." in page.text
    assert "Ask an owner" not in page.text
    assert NAVIGATION in page.text
    assert "Northwind &lt;Labs&gt;" in page.text
    for address in ("/nothing/here", "/keys/key_06C3B2PHTTAMJ1ZKY7QB5DC4XR", "/reveals/0000"):
        assert NAVIGATION in (await ann.get(address)).text
    assert NAVIGATION not in (await anonymous.get("/nothing/here")).text


@pytest.mark.parametrize("after", ["garbage", "a" * 200, "MTIz", "…"])
@pytest.mark.parametrize("page", ["/keys", "/activity", "/usage/requests"])
async def test_a_place_that_is_none_leads_to_the_first_page(ann: Browser, page: str, after: str) -> None:
    answer = await ann.get(f"{page}?status=active&after={after}")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{page}?status=active")


async def test_a_mistake_is_said_once(ann: Browser, anonymous: Browser) -> None:
    wrong = await anonymous.submit("/sign-in", email=ann.email, password="wrong wrong wrong")
    assert wrong.text.count("do not match") == 1
    refused = await ann.submit("/keys/new", name="x", environment="live", expiry="never", scopes="No Scope!")
    assert refused.text.count("is not a scope") == 1
    assert 'href="#scopes"' in refused.text
