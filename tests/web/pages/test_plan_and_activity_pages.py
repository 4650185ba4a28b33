"""The plan page with its catalogue, and the audit log's page."""

import re
from collections.abc import Awaitable, Callable
from decimal import Decimal

from portal import plans
from portal.core.actor import SYSTEM, Role
from portal.core.database import Database
from portal.core.ids import new_id
from portal.core.money import Money
from tests.web.conftest import Browser
from web.pages.activity.describe_event import describe_event
from web.pages.plan.page import price

Browsers = Callable[..., Awaitable[Browser]]


async def test_the_catalogue_marks_the_plan_and_changes_it(ann: Browser, database: Database) -> None:
    page = await ann.get("/plan")
    assert "Your plan" in page.text
    assert "10,000 units a month" in page.text
    async with database.transaction() as tx:
        pro = next(plan for plan in await plans.list_plans(tx) if plan.slug == "pro")
    changed = await ann.submit("/plan", plan=pro.id)
    assert changed.headers["Location"] == "/plan"
    page = await ann.get("/plan")
    assert re.search(r'<span class="tag live">Pro</span>', page.text)
    assert "1,000,000" in page.text
    assert "It applies to every check" in page.text
    assert "€0.00006 per unit up to 9,000,000" in page.text
    assert "1,000,000 units included" not in page.text


async def test_an_account_is_shown_what_it_chose_though_the_plan_is_sold_otherwise_or_no_more(
    ann: Browser, database: Database
) -> None:
    async with database.transaction() as tx:
        document = {"slug": new_id("p").lower().replace("_", "-"), "name": "Crewman", "price": "17"}
        plan = await plans.create_plan(tx, SYSTEM, document)
    await ann.submit("/plan", plan=plan.id)
    for change in ({"price": "23"}, {"visibility": "staff"}):
        async with database.transaction() as tx:
            await plans.add_plan_version(tx, SYSTEM, plan.id, change)
        page = await ann.get("/plan")
        assert re.search(r'<h3>Crewman <span class="tag live">Your plan</span></h3>\s*<p class="price">€17 ', page.text)
        assert page.text.count("<h3>Crewman") == 1
        assert '<p class="price">€23' not in page.text


async def test_what_a_change_costs_stands_before_its_button_and_it_can_be_undone_and_withdrawn(
    ann: Browser, database: Database
) -> None:
    async with database.transaction() as tx:
        ids = {plan.slug: plan.id for plan in await plans.list_plans(tx)}
        period = plans.first_period(tx.now, "UTC")
        days = len(period.days) - period.day_number(tx.now)
        share = Money(Decimal(49) * days / len(period.days), "EUR").rounded().amount
    page = await ann.get("/plan")
    assert f"Today €{share}" in page.text
    assert "€49.00 for the next month" in page.text
    assert "Undo, back to" not in page.text
    await ann.submit("/plan", plan=ids["pro"], version="1")
    page = await ann.get("/plan")
    assert "Undo, back to Free" in page.text
    assert f"today’s €{share} is not charged" in page.text
    await ann.submit("/plan", plan=ids["free"])
    page = await ann.get("/plan")
    assert "Free begins with the next billing month." in page.text
    assert "Keep Pro" in page.text
    assert re.search(r'<span class="tag live">Pro</span>', page.text)
    await ann.submit("/plan/withdraw")
    page = await ann.get("/plan")
    assert "Pro stays your plan." in page.text
    assert "Keep Pro" not in page.text
    await ann.submit("/plan/undo")
    page = await ann.get("/plan")
    assert "The upgrade is undone" in page.text
    assert re.search(r'<span class="tag live">Free</span>', page.text)
    refused = await ann.submit("/plan/undo")
    assert "There is no upgrade of today to undo." in refused.text


async def test_an_unknown_plan_says_so(ann: Browser) -> None:
    answer = await ann.submit("/plan", plan="plan_0000000000000000000000MISS")
    assert answer.status_code == 404
    assert "There is no such plan." in answer.text


async def test_who_may_not_change_the_plan_is_not_offered_it(browsers: Browsers) -> None:
    developer = await browsers(Role.DEVELOPER)
    page = await developer.get("/plan")
    assert "Change to" not in page.text
    for path in ("/plan", "/plan/undo", "/plan/withdraw"):
        answer = await developer.submit(path, plan="plan_0000000000000000000000MISS")
        assert answer.status_code == 403, path


async def test_the_log_is_shown_filtered_and_paged(ann: Browser) -> None:
    key_id = await ann.create_key()
    await ann.submit(f"/keys/{key_id}/pause")
    page = await ann.get("/activity")
    assert "Log intact" in page.text
    assert "paused the key" in page.text
    assert f'href="/keys/{key_id}"' in page.text
    keys_only = await ann.get("/activity?kind=key")
    assert "signed in" not in keys_only.text
    assert "2 events" in keys_only.text
    assert "2 events" in (await ann.get(f"/activity?subject={key_id}")).text
    assert "Nothing here" in (await ann.get("/activity?actor=usr_nobody")).text
    assert (await ann.get("/activity?after=nonsense")).headers["Location"] == "/activity"


async def test_the_log_is_for_owners_and_admins(browsers: Browsers) -> None:
    assert (await (await browsers(Role.DEVELOPER)).get("/activity")).status_code == 403


def test_an_action_without_words_is_shown_by_its_name() -> None:
    event = {
        "occurredAt": "2026-11-25T00:00:00Z",
        "action": "coupon.make",
        "subject": "inv_1",
        "subjectName": None,
        "details": {},
        "actor": {"kind": "SYSTEM", "name": None},
    }
    act = describe_event(event)
    assert (act.who, act.what, act.object, act.href) == ("The portal", "coupon.make", "inv_1", "")
    act = describe_event(event | {"action": "invoice.finalize", "details": {"number": "2026-000001"}})
    assert (act.what, act.object, act.href) == ("finalized the invoice", "2026-000001", "/invoices/inv_1")


def test_prices_are_written_without_needless_cents() -> None:
    assert [price("49.00", "EUR"), price("49.50", "USD"), price("1200.00", "CHF")] == ["€49", "$49.50", "CHF 1,200"]
