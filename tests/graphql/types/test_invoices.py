"""Invoices over GraphQL: the draft, the finalized ones, how a line comes about."""

from datetime import timedelta

from sqlalchemy import text

from portal.core.actor import Actor
from portal.core.database import Database
from tests.billing.account import an_invoice, finalize_all, month, name, use
from tests.graphql.conftest import Answer

LINES = "lines { kind description period units amount { amount currency } parts { quantity unitPrice flat amount } }"
DRAFT = f"{{ draftInvoice {{ __typename period total {{ amount currency }} {LINES} }} }}"
LIST = """query ($first: Int!, $after: String) { invoices(first: $first, after: $after) {
  totalCount pageInfo { hasNextPage endCursor } nodes { id number period total { amount } lines { kind } } } }"""


async def test_a_new_account_has_a_draft_that_costs_nothing(answer: Answer, owner: Actor) -> None:
    data = await answer(owner, DRAFT)
    (line,) = data["draftInvoice"].pop("lines")
    assert data["draftInvoice"] == {
        "__typename": "DraftInvoice",
        "period": name(0),
        "total": {"amount": "0.00", "currency": "EUR"},
    }
    assert (line["kind"], line["units"], line["amount"]["amount"]) == ("USAGE", 0, "0.00")
    assert (await answer(owner, LIST, first=1))["invoices"]["nodes"] == []


async def test_the_draft_shows_usage_and_how_it_is_priced(
    answer: Answer, make_account: object, database: Database
) -> None:
    pro: Actor = await make_account(plan="pro")  # type: ignore[operator]  # the fixture's own type is wider
    async with database.transaction() as tx:
        since = {"id": pro.account_id, "at": month(0)}
        await tx.execute(text("UPDATE accounts SET created_at = :at WHERE id = :id"), since)
        await tx.execute(text("UPDATE plan_choices SET chosen_at = :at WHERE account_id = :id"), since)
    await use(database, pro.account_id, month(0) + timedelta(minutes=1), 3, cost=500_000)
    draft = (await answer(pro, DRAFT))["draftInvoice"]
    kinds = [line["kind"] for line in draft["lines"]]
    assert kinds == ["FEE", "FEE", "USAGE"]
    usage = draft["lines"][-1]
    assert (usage["units"], usage["amount"]["amount"]) == (1_500_000, "30.00")
    assert usage["parts"] == [
        {"quantity": "1000000", "unitPrice": "0", "flat": "0", "amount": "0"},
        {"quantity": "500000", "unitPrice": "0.00006", "flat": "0", "amount": "30"},
    ]


async def test_finalized_invoices_are_paged_and_found(answer: Answer, owner: Actor, database: Database) -> None:
    invoice_id = await an_invoice(database, owner.account_id)
    page = (await answer(owner, LIST, first=1))["invoices"]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (1, False)
    (node,) = page["nodes"]
    assert (node["id"], node["period"], node["lines"]) == (invoice_id, name(1), [{"kind": "USAGE"}])
    after = (await answer(owner, LIST, first=1, after=page["pageInfo"]["endCursor"]))["invoices"]
    assert after["nodes"] == []
    found = await answer(owner, "query ($id: ID!) { invoice(id: $id) { number } node(id: $id) { id } }", id=invoice_id)
    assert found == {"invoice": {"number": node["number"]}, "node": {"id": invoice_id}}
    assert await finalize_all(database, owner.account_id) == []


async def test_anothers_invoice_is_none(answer: Answer, owner: Actor, stranger: Actor, database: Database) -> None:
    invoice_id = await an_invoice(database, stranger.account_id)
    document = "query ($id: ID!) { invoice(id: $id) { number } node(id: $id) { id } }"
    assert await answer(owner, document, id=invoice_id) == {"invoice": None, "node": None}
