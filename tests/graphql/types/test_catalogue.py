"""The catalogue as staff see and change it, and as accounts do."""

from dataclasses import replace
from typing import Any

from portal.core.actor import Actor
from portal.core.database import Database
from portal.core.ids import new_id
from tests.graphql.conftest import Answer, Ask
from tests.graphql.world import new_caller, new_tenant

FIELDS = "id slug name version rank visibility retiredAt price { amount currency } monthlyQuota limits { name burst }"
PROBLEM = "... on Problem { code message path }"
CREATE = f"""mutation($input: CreatePlanInput!) {{
  createPlan(input: $input) {{ ... on CreatedPlan {{ plan {{ {FIELDS} tariff {{ currency }} }} }} {PROBLEM} }} }}"""
ADD = f"""mutation($input: AddPlanVersionInput!) {{
  addPlanVersion(input: $input) {{ ... on AddedPlanVersion {{ plan {{ {FIELDS} }} }} {PROBLEM} }} }}"""
RETIRE = f"mutation($id: ID!) {{ retirePlan(id: $id) {{ ... on RetiredPlan {{ plan {{ retiredAt }} }} {PROBLEM} }} }}"
CATALOGUE = "{ catalogue { plan { id } versions { version name price { amount } monthlyQuota } } }"
TARIFF = {"currency": "EUR", "charges": [{"code": "calls", "model": "per_unit", "unit": "0.01"}]}
BUCKET = {"name": "b", "algorithm": "TOKEN_BUCKET", "amount": 1, "windowMs": 100, "per": "ACCOUNT", "burst": 3}


def slug() -> str:
    return new_id("p").lower().replace("_", "-")


async def staff_of(database: Database) -> Actor:
    return (await new_caller(database, await new_tenant(database), "staff")).actor


async def test_staff_create_change_and_retire_a_plan(database: Database, answer: Answer, owner: Actor) -> None:
    staff = await staff_of(database)
    given = {"slug": slug(), "name": "Crew", "price": "9.50", "visibility": "APPROVAL", "monthlyQuota": 50}
    made = await answer(staff, CREATE, input=given | {"limits": [BUCKET], "tariff": TARIFF})
    plan = made["createPlan"]["plan"]
    assert (plan["version"], plan["visibility"], plan["price"]["amount"]) == (1, "APPROVAL", "9.50")
    assert (plan["limits"], plan["tariff"]) == ([{"name": "b", "burst": 3}], {"currency": "EUR"})
    changed = await answer(staff, ADD, input={"id": plan["id"], "monthlyQuota": None, "price": "12"})
    assert changed["addPlanVersion"]["plan"] == {key: value for key, value in plan.items() if key != "tariff"} | {
        "version": 2,
        "monthlyQuota": None,
        "price": {"amount": "12.00", "currency": "EUR"},
    }
    public = await answer(staff, ADD, input={"id": plan["id"], "visibility": "PUBLIC"})
    assert public["addPlanVersion"]["plan"]["version"] == 2
    (entry,) = [each for each in (await answer(staff, CATALOGUE))["catalogue"] if each["plan"]["id"] == plan["id"]]
    assert [(each["version"], each["price"]["amount"], each["monthlyQuota"]) for each in entry["versions"]] == [
        (2, "12.00", None),
        (1, "9.50", 50),
    ]
    for _ in range(2):
        assert (await answer(staff, RETIRE, id=plan["id"]))["retirePlan"]["plan"]["retiredAt"] is not None
    assert plan["id"] not in {each["id"] for each in (await answer(owner, "{ plans { id } }"))["plans"]}
    subscribed = "mutation($id: ID!) { subscribe(planId: $id) { ... on Problem { code message } } }"
    refused = (await answer(owner, subscribed, id=plan["id"]))["subscribe"]
    assert (refused["code"], "not sold any more" in refused["message"]) == ("CONFLICT", True)


async def test_a_mistake_is_named_as_the_input_names_it(database: Database, answer: Answer) -> None:
    staff = await staff_of(database)
    mistakes: list[tuple[dict[str, Any], list[str]]] = [
        ({"monthlyQuota": -1}, ["monthlyQuota"]),
        ({"price": "-5"}, ["price"]),
        ({"limits": [BUCKET | {"windowMs": 1}]}, ["limits", "0", "windowMs"]),
        ({"tariff": TARIFF | {"tax_percent": "200"}}, ["tariff", "tax_percent"]),
        ({"tariff": "cheap"}, ["tariff"]),
        ({"tariff": TARIFF | {"currency": "USD"}}, ["tariff", "currency"]),
        ({"rank": 0}, ["rank"]),
    ]
    for fields, path in mistakes:
        problem = (await answer(staff, CREATE, input={"slug": slug(), "name": "Crew"} | fields))["createPlan"]
        assert (problem["code"], problem["path"]) == ("INVALID", path), problem
    none = (await answer(staff, ADD, input={"id": "plan_none", "price": "1"}))["addPlanVersion"]
    assert (none["code"], none["path"]) == ("NOT_FOUND", ["plan"])
    taken = (await answer(staff, CREATE, input={"slug": "pro", "name": "Pro"}))["createPlan"]
    assert (taken["code"], taken["path"]) == ("CONFLICT", ["slug"])


async def test_a_plan_that_only_staff_give_is_seen_by_the_accounts_that_are_on_it(
    database: Database, ask: Ask, answer: Answer, owner: Actor, stranger: Actor
) -> None:
    staff = await staff_of(database)
    fields = {"slug": slug(), "name": "Partner", "visibility": "STAFF"}
    plan = (await answer(staff, CREATE, input=fields))["createPlan"]["plan"]
    node = "query($id: ID!) { node(id: $id) { id } }"
    assert (await answer(owner, node, id=plan["id"]))["node"] is None
    subscribe = "mutation($id: ID!) { subscribe(planId: $id) { __typename ... on Problem { code message path } } }"
    missing = (await answer(owner, subscribe, id="plan_none"))["subscribe"]
    assert (await answer(owner, subscribe, id=plan["id"]))["subscribe"] == missing
    given = replace(owner, is_staff=True)
    assert (await answer(given, subscribe, id=plan["id"]))["subscribe"]["__typename"] == "Subscribed"
    assert (await answer(owner, node, id=plan["id"]))["node"] == {"id": plan["id"]}
    assert (await answer(stranger, node, id=plan["id"]))["node"] is None
    shown = await answer(owner, "{ subscription { plan { id visibility } } }")
    assert shown["subscription"]["plan"] == {"id": plan["id"], "visibility": "STAFF"}
    refused = await ask(owner, CATALOGUE)
    assert [(error.extensions or {}).get("code") for error in refused.errors] == ["FORBIDDEN"]
