"""The account's time zone: chosen at sign-up, changed and kept on the settings page, without a script."""

import re
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text

from portal import accounts
from portal.core.actor import Role
from portal.core.database import Database
from tests.web.conftest import Browser
from tests.web.pages.test_sign_in import new_person

Browsers = Callable[..., Awaitable[Browser]]


def options(page: str) -> list[str]:
    """Return the names that the select offers."""
    (select,) = re.findall(r'<select id="timeZone".*?</select>', page, re.DOTALL)
    return ["UTC", *re.findall(r'<option value="([^"]+)"', select)]


def selected(page: str) -> list[str]:
    return re.findall(r'<option(?: value="([^"]+)")? selected>', page)


async def zone_of(database: Database, email: str) -> str:
    async with database.transaction() as tx:
        find = """
            SELECT a.time_zone FROM accounts a JOIN memberships m ON m.account_id = a.id
            JOIN people p ON p.id = m.person_id WHERE p.email = :email
        """
        return await tx.get(text(find), {"email": email}, returns=str)


async def test_signing_up_asks_for_the_zone_and_proposes_utc_without_a_script(anonymous: Browser) -> None:
    page = (await anonymous.get("/sign-up")).text
    assert sorted(options(page)) == sorted(accounts.list_time_zones())
    assert selected(page) == [""]
    assert "data-browser-zone" in page


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/Argentina/Buenos_Aires", "UTC", "Etc/GMT-14", None])
async def test_the_account_is_opened_in_the_zone_of_the_form(
    anonymous: Browser, database: Database, zone: str | None
) -> None:
    person = new_person()
    answer = await anonymous.submit("/sign-up", **person, **({"timeZone": zone} if zone else {}))
    assert answer.status_code == 303
    assert await zone_of(database, person["email"]) == (zone or "UTC")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "<script>", "x" * 500, "localtime"])
async def test_an_unknown_zone_is_refused_beside_its_field(anonymous: Browser, zone: str) -> None:
    answer = await anonymous.submit("/sign-up", **new_person(), timeZone=zone)
    assert answer.status_code == 422
    assert 'id="timeZone-problem">There is no time zone' in answer.text
    assert "<script>" not in answer.text
    assert "data-browser-zone" not in answer.text


async def test_another_mistake_keeps_the_zone_that_was_chosen(anonymous: Browser) -> None:
    answer = await anonymous.submit("/sign-up", **(new_person() | {"email": "nobody"}), timeZone="Asia/Tokyo")
    assert selected(answer.text) == ["Asia/Tokyo"]
    assert "data-browser-zone" not in answer.text


async def test_a_zone_is_changed_shown_and_withdrawn(ann: Browser) -> None:
    page = (await ann.get("/settings")).text
    assert "<dt>Now</dt><dd>UTC</dd>" in page
    assert selected(page) == [""]
    answer = await ann.submit("/settings/time-zone", timeZone="Europe/Lisbon")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/settings#time-zone")
    page = (await ann.get("/settings")).text
    assert "The time zone will be Europe/Lisbon from the next billing period on." in page
    assert re.search(r"<dt>From \d+ \w+ \d{4}, 00:00</dt><dd>Europe/Lisbon</dd>", page)
    assert "<dt>Now</dt><dd>UTC</dd>" in page
    answer = await ann.submit("/settings/time-zone", timeZone="UTC")
    assert answer.status_code == 303
    page = (await ann.get("/settings")).text
    assert "The time zone stays UTC." in page
    assert "Lisbon</dd>" not in page
    activity = re.sub(r"<[^>]+>|\s+", " ", (await ann.get("/activity")).text)
    assert re.search(r"set the time zone to +Europe/Lisbon", activity)


async def test_what_is_refused_says_why_beside_the_field(ann: Browser) -> None:
    unknown = await ann.submit("/settings/time-zone", timeZone="Mars/Olympus")
    assert unknown.status_code == 422
    assert 'id="timeZone-problem">There is no time zone' in unknown.text
    await ann.submit("/settings/time-zone", timeZone="Europe/Lisbon")
    again = await ann.submit("/settings/time-zone", timeZone="Asia/Tokyo")
    assert again.status_code == 409
    assert 'id="timeZone-problem">The time zone can be changed once in a billing period' in again.text
    await ann.submit("/settings/time-zone", timeZone="UTC")
    third = await ann.submit("/settings/time-zone", timeZone="Asia/Tokyo")
    assert third.status_code == 409
    assert selected(third.text) == ["Asia/Tokyo"]
    assert 'id="timeZone-problem">' in third.text


async def test_who_may_not_change_the_account_sees_the_zone_alone(browsers: Browsers) -> None:
    for role in (Role.VIEWER, Role.DEVELOPER, Role.BILLING):
        browser = await browsers(role)
        page = (await browser.get("/settings")).text
        assert "<dt>Now</dt><dd>UTC</dd>" in page
        assert "/settings/time-zone" not in page
        refused = await browser.submit("/settings/time-zone", timeZone="Asia/Tokyo")
        assert refused.status_code == 403


async def test_dates_are_those_of_the_new_zone_once_its_period_has_begun(ann: Browser, database: Database) -> None:
    await ann.submit("/settings/time-zone", timeZone="Asia/Tokyo")
    began = text("UPDATE accounts SET next_time_zone_from = now() WHERE id = :account")
    async with database.transaction() as tx:
        await tx.execute(began, {"account": ann.actor.account_id})
    page = (await ann.get("/settings")).text
    assert "<dt>Now</dt><dd>Asia/Tokyo</dd>" in page
    assert 'Last day <span class="muted">in Asia/Tokyo</span>' in (await ann.get("/keys/new")).text
