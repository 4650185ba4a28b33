"""A choice that a form does not offer is refused: it never means the most that there is."""

import re
from collections.abc import Awaitable, Callable
from itertools import product
from pathlib import Path

import pytest

from tests.web.conftest import Browser
from web.pages.framework import action

STRANGE = ("", "never ", "NEVER", "9y", "0", "-1", "null", "never,30d", "live\u200b", "all\x00", "x" * 5000)
KEY = {"name": "Chosen", "environment": "live", "expiry": "30d"}
TOKEN = {"name": "Chosen", "access": "chosen", "expiry": "30d", "scope-keys:read": "on"}
FORMS = [
    ("/keys/new", KEY, "environment", ("live", "test")),
    ("/keys/new", KEY, "expiry", ("never", "30d", "90d", "1y")),
    ("/settings/tokens", TOKEN, "access", ("all", "chosen")),
    ("/settings/tokens", TOKEN, "expiry", ("never", "30d", "90d", "1y")),
]
Browsers = Callable[..., Awaitable[Browser]]


@pytest.mark.parametrize(("address", "fields", "name", "choices"), FORMS)
async def test_only_what_a_form_offers_is_taken(
    browsers: Browsers, address: str, fields: dict[str, str], name: str, choices: tuple[str, ...]
) -> None:
    ann = await browsers()
    page = await ann.get("/keys/new" if address == "/keys/new" else "/settings")
    assert {*choices} <= {*re.findall(rf'name="{name}" value="([^"]*)"', page.text)}
    for value in STRANGE:
        if value.strip() in choices:
            continue
        answer = await ann.submit(address, **{**fields, name: value})
        assert answer.status_code == 422, (value, answer.status_code)
        assert "Choose" in answer.text
    missing = await ann.post(address, {other: text for other, text in fields.items() if other != name})
    assert missing.status_code == 422
    for value in choices:
        made = await ann.submit(address, **{**fields, name: value})
        assert made.status_code in (200, 303), (value, made.text)


async def test_an_old_secret_goes_on_only_as_long_as_the_form_offers(ann: Browser) -> None:
    key_id = await ann.create_key()
    for value in ({*STRANGE} - {"0"}) | {"2592000", "1", "86400.0"}:
        assert (await ann.submit(f"/keys/{key_id}/rotate", overlapSeconds=value)).status_code == 422, value
    assert (await ann.post(f"/keys/{key_id}/rotate", {})).status_code == 422


async def test_a_field_that_was_not_sent_changes_nothing(ann: Browser) -> None:
    key_id = await ann.create_key(allowedIps="203.0.113.7", scopes="a:read")
    page = (await ann.get(f"/keys/{key_id}")).text
    for fields in ({}, {"name": "Other"}, {"expiresBefore": "2030-01-01"}, {"name": "Other", "scopes": "b:read"}):
        await ann.post(f"/keys/{key_id}/update", fields)
        page = (await ann.get(f"/keys/{key_id}")).text
        assert "203.0.113.7/32" in page, fields
    assert "b:read" in page
    assert "Other" in page


async def test_a_key_is_revoked_only_with_its_name(ann: Browser) -> None:
    key_id = await ann.create_key()
    for fields in (
        {},
        {"confirm": ""},
        {"confirm": "", "confirmName": ""},
        {"confirm": "x", "confirmName": "Checkout"},
    ):
        assert (await ann.post(f"/keys/{key_id}/revoke", fields)).status_code == 422, fields


@pytest.mark.parametrize(("first", "second"), [*product(("never", "30d"), repeat=2)])
async def test_a_field_that_was_sent_twice_is_no_form(ann: Browser, first: str, second: str) -> None:
    body = f"name=Twice&environment=live&expiry={first}&expiry={second}"
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    answer = await ann.client.post("/keys/new", content=body, headers=headers)
    assert answer.status_code == 400
    assert "expiry" in answer.text


def test_a_mistake_is_said_beside_its_input_or_above_the_form() -> None:
    """Whatever the templates show beside no input has its words above."""
    templates = Path(action.__file__).parents[1].rglob("*.html")
    shown = {
        name for path in templates for name in re.findall(r'parts\.(?:field|area|beside)\("(\w+)"', path.read_text())
    }
    assert shown == action.MESSAGE_FIELDS
