"""Overrides of a plan's limit for one key: who may, what the account sees of it, and what it leaves behind."""

from dataclasses import replace
from typing import Any

import pytest

from portal import audit
from portal.core.actor import Actor
from portal.core.database import Database
from tests.conftest import MakeAccount
from tests.graphql.conftest import Answer, Ask, MakeKey, codes
from tests.graphql.types.test_key_mutations import events

PROBLEM = "... on Problem { code message path }"
OVERRIDE_FIELDS = "name amount windowMs burst reason madeAt expiresAt"
CHANGED = f"{{ __typename ... on LimitOverridesChanged {{ keyId overrides {{ {OVERRIDE_FIELDS} }} }} {PROBLEM} }}"
OVERRIDE = f"mutation M($input: OverrideKeyLimitInput!) {{ r: overrideKeyLimit(input: $input) {CHANGED} }}"
CLEAR = f"""mutation M($account: ID!, $id: ID!, $name: String!) {{
    r: clearKeyOverride(accountId: $account, id: $id, name: $name) {CHANGED} }}"""
SEEN = f"""query Q($id: ID!) {{ key(id: $id) {{
    limitOverrides {{ {OVERRIDE_FIELDS} }}
    limitsInForce {{ name origin amount windowMs burst per resource override {{ reason }} }} }} }}"""


@pytest.fixture
async def staff(make_account: MakeAccount) -> Actor:
    """Of an account of their own, as everybody."""
    return replace(await make_account(), is_staff=True)


@pytest.fixture
async def key_id(make_key: MakeKey, owner: Actor) -> str:
    made = await make_key(owner, limits=[{"name": "hourly", "amount": 3, "windowMs": 3_600_000}])
    return str(made["key"]["id"])


def an_override(owner: Actor, key_id: str, **fields: Any) -> dict[str, Any]:
    base = {"accountId": owner.account_id, "id": key_id, "name": "burst", "amount": 50, "windowMs": 2000}
    return base | {"reason": "a launch"} | fields


async def records(database: Database, actor: Actor) -> list[audit.AuditEvent]:
    async with database.transaction(actor.account_id) as tx:
        return await audit.list_audit_events(tx, actor.account_id)


async def test_staff_override_and_the_account_sees_it(
    database: Database, answer: Answer, owner: Actor, staff: Actor, key_id: str
) -> None:
    given = an_override(owner, key_id, expiresAt="2099-01-01T00:00:00Z")
    told = (await answer(staff, OVERRIDE, input=given))["r"]
    assert (told["__typename"], told["keyId"]) == ("LimitOverridesChanged", key_id)
    key = (await answer(owner, SEEN, id=key_id))["key"]
    assert key["limitOverrides"] == told["overrides"]
    (override,) = told["overrides"]
    assert (override["amount"], override["windowMs"], override["reason"]) == (50, 2000, "a launch")
    assert override["expiresAt"] == "2099-01-01T00:00:00Z"
    assert [(one["name"], one["origin"], one["amount"], one["windowMs"]) for one in key["limitsInForce"]] == [
        ("burst", "OVERRIDE", 50, 2000),
        ("sustained", "PLAN", 100, 60_000),
        ("own-hourly", "OWN", 3, 3_600_000),
    ]
    record = (await records(database, owner))[-1]
    assert (record.action, record.actor_id, record.subject) == ("key.override_limit", staff.id, key_id)
    assert record.details["reason"] == "a launch"
    assert (await events(database, owner))[-2:] == ["PolicyChanged", "KeyChanged:override_limit"]
    assert [record.action for record in await records(database, staff)] == ["account.sign_up"]


async def test_the_same_limit_has_one_override_and_clearing_ends_it(
    database: Database, answer: Answer, owner: Actor, staff: Actor, key_id: str
) -> None:
    await answer(staff, OVERRIDE, input=an_override(owner, key_id))
    told = (await answer(staff, OVERRIDE, input=an_override(owner, key_id, amount=60)))["r"]
    assert [one["amount"] for one in told["overrides"]] == [60]
    for _ in range(2):
        told = (await answer(staff, CLEAR, account=owner.account_id, id=key_id, name="burst"))["r"]
        assert told["overrides"] == []
    assert [record.action for record in await records(database, owner)].count("key.clear_override") == 1
    assert (await answer(owner, SEEN, id=key_id))["key"]["limitsInForce"][0]["origin"] == "PLAN"


@pytest.mark.parametrize(
    ("fields", "path"),
    [({"name": "none"}, "name"), ({"amount": 0}, "amount"), ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt")],
)
async def test_what_is_wrong_is_named_and_nothing_is_kept(
    database: Database, answer: Answer, owner: Actor, staff: Actor, key_id: str, fields: dict[str, Any], path: str
) -> None:
    before = await records(database, owner)
    told = (await answer(staff, OVERRIDE, input=an_override(owner, key_id, **fields)))["r"]
    assert (told["__typename"], told["path"]) == ("ValidationProblem", [path])
    assert await records(database, owner) == before


async def test_nobody_else_may(answer: Answer, ask: Ask, owner: Actor, stranger: Actor, key_id: str) -> None:
    """Neither the account itself nor another one, nor anybody who has not signed in."""
    for actor in (owner, stranger):
        told = (await answer(actor, OVERRIDE, input=an_override(owner, key_id)))["r"]
        assert told["__typename"] == "ForbiddenProblem"
        told = (await answer(actor, CLEAR, account=owner.account_id, id=key_id, name="burst"))["r"]
        assert told["__typename"] == "ForbiddenProblem"
    result = await ask(None, OVERRIDE, input=an_override(owner, key_id))
    assert codes(result) == ["UNAUTHENTICATED"]


async def test_a_key_of_another_account_answers_as_one_that_is_not_there(
    answer: Answer, owner: Actor, stranger: Actor, staff: Actor, key_id: str
) -> None:
    told = [
        (await answer(staff, OVERRIDE, input=an_override(account, key)))["r"]
        for account, key in ((stranger, key_id), (owner, "key_0000000000000000000000MISS"))
    ]
    assert told[0] == told[1]
    assert told[0]["__typename"] == "NotFoundProblem"


async def test_a_revoked_key_conflicts(answer: Answer, owner: Actor, staff: Actor, key_id: str) -> None:
    await answer(owner, "mutation M($id: ID!) { revokeKey(id: $id) { __typename } }", id=key_id)
    told = (await answer(staff, OVERRIDE, input=an_override(owner, key_id)))["r"]
    assert told["__typename"] == "ConflictProblem"


async def test_staff_are_back_in_their_own_account_afterwards(
    answer: Answer, ask: Ask, make_key: MakeKey, owner: Actor, staff: Actor, key_id: str
) -> None:
    """Within one operation: after an override, and after one that was refused."""
    mine = await make_key(staff)
    document = f"""mutation M($good: OverrideKeyLimitInput!, $bad: OverrideKeyLimitInput!, $id: ID!, $theirs: ID!) {{
        a: overrideKeyLimit(input: $good) {CHANGED}
        b: pauseKey(id: $id) {{ __typename }}
        c: overrideKeyLimit(input: $bad) {CHANGED}
        d: resumeKey(id: $id) {{ __typename }}
        e: pauseKey(id: $theirs) {{ __typename }} }}"""
    good, bad = an_override(owner, key_id), an_override(owner, key_id, amount=0)
    told = await answer(staff, document, good=good, bad=bad, id=mine["key"]["id"], theirs=key_id)
    assert [told[name]["__typename"] for name in "abcde"] == [
        "LimitOverridesChanged",
        "KeyChanged",
        "ValidationProblem",
        "KeyChanged",
        "NotFoundProblem",
    ]
