"""The invoices' pages: the draft, the list, one in detail, and who may see them."""

from collections.abc import Awaitable, Callable

from portal.core.actor import Role
from portal.core.database import Database
from tests.billing.account import an_invoice, month
from tests.web.conftest import Browser
from web.pages.framework.formatting import bill_part, money
from web.pages.framework.formatting import month as month_name

Browsers = Callable[..., Awaitable[Browser]]


async def test_an_account_without_invoices_sees_its_draft(ann: Browser) -> None:
    page = await ann.get("/invoices")
    assert "No invoice yet" in page.text
    assert f"{month_name(f'{month(0):%Y-%m}')} so far" in page.text
    assert "€0.00" in page.text


async def test_an_invoice_is_listed_and_shown(ann: Browser, database: Database) -> None:
    invoice_id = await an_invoice(database, ann.actor.account_id)
    listed = await ann.get("/invoices")
    assert f'href="/invoices/{invoice_id}"' in listed.text
    assert "1 invoice<" in listed.text
    page = await ann.get(f"/invoices/{invoice_id}")
    name = month_name(f"{month(1):%Y-%m}")
    assert f"<h1>{name}</h1>" in page.text
    assert f"Usage in {name}" in page.text
    assert f"from={month(1):%Y-%m-%d}" in page.text
    assert "finalized the invoice" in (await ann.get("/activity?kind=invoice")).text


async def test_an_unknown_invoice_says_so(ann: Browser) -> None:
    page = await ann.get("/invoices/inv_06C4A9VVRNH4SWM86X1PG3KH02")
    assert "No such invoice" in page.text


async def test_who_may_not_see_them_is_not_led_there(browsers: Browsers) -> None:
    developer = await browsers(Role.DEVELOPER)
    assert 'href="/invoices"' not in (await developer.get("/plan")).text
    assert (await developer.get("/invoices")).status_code == 403
    assert 'href="/invoices"' in (await (await browsers(Role.BILLING)).get("/plan")).text


def test_amounts_are_written_with_all_their_digits() -> None:
    amounts = [("49.00", "EUR"), ("-1049.50", "USD"), ("7", "JPY"), ("1.500", "KWD")]
    assert [money({"amount": amount, "currency": currency}) for amount, currency in amounts] == [
        "€49.00",
        "−$1,049.50",
        "JPY 7",
        "KWD 1.500",
    ]


def test_a_part_is_described_by_its_prices() -> None:
    def part(unit: str, flat: str) -> str:
        return bill_part({"quantity": "350000", "unitPrice": unit, "flat": flat}, "EUR")

    assert part("0", "0") == "350,000 included"
    assert part("0.00006", "0") == "350,000 at €0.00006 each"
    assert part("0.00006", "2") == "350,000 at €0.00006 each, plus €2"
    assert part("0", "2") == "350,000, plus €2"
