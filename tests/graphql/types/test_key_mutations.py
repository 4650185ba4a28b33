"""Changing keys: what each mutation answers, to whom, and what it leaves behind."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from portal import audit
from portal.core.actor import Actor, Role
from portal.core.clock import utc_now
from portal.core.database import Database
from portal.core.messaging.outbox import OutboxRow
from portal.graphql import Options
from tests.conftest import MakeAccount
from tests.graphql.conftest import CREATE, Answer, Ask, MakeKey, codes

PROBLEM = "... on Problem { code message path }"
KEY = "key { id name status scopes allowedIps metadata expiresAt pausedAt revokedAt revokedReason }"
CHANGED = f"{{ __typename ... on KeyChanged {{ {KEY} }} {PROBLEM} }}"
UPDATE = f"mutation M($input: UpdateKeyInput!) {{ r: updateKey(input: $input) {CHANGED} }}"
PAUSE = f"mutation M($id: ID!) {{ r: pauseKey(id: $id) {CHANGED} }}"
RESUME = f"mutation M($id: ID!) {{ r: resumeKey(id: $id) {CHANGED} }}"
REVOKE = f'mutation M($id: ID!) {{ r: revokeKey(id: $id, reason: "leaked") {CHANGED} }}'
ROTATED = f"{{ __typename ... on RotatedKey {{ secret {KEY} }} {PROBLEM} }}"
ROTATE = f"mutation M($id: ID!, $o: Int! = 3600) {{ r: rotateKey(id: $id, overlapSeconds: $o) {ROTATED} }}"
BY_ID = {"pause": PAUSE, "resume": RESUME, "revoke": REVOKE, "rotate": ROTATE}
MISSING = "key_0000000000000000000000MISS"


async def actions(database: Database, actor: Actor) -> list[str]:
    async with database.transaction() as tx:
        return [row.action for row in await audit.list_audit_events(tx, actor.account_id)]


async def events(database: Database, actor: Actor) -> list[str]:
    """Types of the account's waiting events, with KeyChanged's `change`."""
    async with database.transaction() as tx:
        rows = await tx.list(
            select(OutboxRow)
            .where(col(OutboxRow.body)["account_id"].astext == actor.account_id)
            .order_by(col(OutboxRow.id))
        )
    return [row.type + (f":{row.body['change']}" if row.type == "KeyChanged" else "") for row in rows]


@pytest.mark.fast
async def test_create_answers_the_key_and_leaves_its_traces(
    database: Database, owner: Actor, make_key: MakeKey
) -> None:
    made = await make_key(owner, scopes=["b", "a", "a"], allowedIps=["203.0.113.7"], metadata={"a": 1})
    assert made["key"]["scopes"] == ["a", "b"]
    assert made["key"]["allowedIps"] == ["203.0.113.7/32"]
    assert made["key"]["environment"] == "LIVE"
    assert (await actions(database, owner))[-1] == "key.create"
    assert await events(database, owner) == ["PolicyChanged", "KeyCreated"]


async def test_a_key_takes_the_prefix_of_the_settings(ask: Ask, owner: Actor) -> None:
    result = await ask(owner, CREATE, options=Options(key_prefix="acme"), input={"name": "A"})
    assert (result.data or {})["createKey"]["secret"].startswith("acme_live_")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"name": "  "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"scopes": ["no spaces"]}, "scopes"),
        ({"scopes": ["line:end\n"]}, "scopes"),
        ({"allowedIps": ["1.2.3"]}, "allowedIps"),
        ({"metadata": ["list"]}, "metadata"),
        ({"metadata": {"a": "x" * 5000}}, "metadata"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
    ],
)
async def test_create_says_which_field_is_wrong(
    answer: Answer, database: Database, owner: Actor, fields: dict[str, Any], path: str
) -> None:
    before = await actions(database, owner)
    problem = (await answer(owner, CREATE, input={"name": "A"} | fields))["createKey"]
    assert (problem["__typename"], problem["code"], problem["path"]) == ("ValidationProblem", "INVALID", [path])
    assert problem["message"]
    assert await actions(database, owner) == before
    assert await events(database, owner) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"name": None},
        {"name": 5},
        {"environment": "live"},
        {"expiresAt": "2030-01-01T00:00:00"},
        {"expiresAt": "soon"},
        {"unknown": 1},
        {"scopes": [None]},
        {"metadata": {"a": "\x00"}},
        {"metadata": {"a": 2**63}},
        {"metadata": {"a": [1e19]}},
    ],
)
async def test_a_value_of_the_wrong_type_is_refused_before_it_runs(
    ask: Ask, owner: Actor, fields: dict[str, Any]
) -> None:
    result = await ask(owner, CREATE, input={"name": "A"} | fields)
    assert not result.has_started
    assert codes(result) == ["BAD_VARIABLES"]


async def test_update_changes_what_is_given_and_nothing_else(
    answer: Answer, database: Database, owner: Actor, make_key: MakeKey
) -> None:
    expiry = (utc_now() + timedelta(days=3)).isoformat()
    key_id = (await make_key(owner, scopes=["a"], metadata={"a": 1}, expiresAt=expiry))["key"]["id"]
    changed = (await answer(owner, UPDATE, input={"id": key_id, "name": "New"}))["r"]["key"]
    assert (changed["name"], changed["scopes"], changed["metadata"]) == ("New", ["a"], {"a": 1})
    assert changed["expiresAt"]
    cleared = {"id": key_id, "expiresAt": None, "metadata": None, "scopes": []}
    changed = (await answer(owner, UPDATE, input=cleared))["r"]["key"]
    assert (changed["name"], changed["scopes"], changed["metadata"]) == ("New", [], {})
    assert changed["expiresAt"] is None
    assert (await actions(database, owner))[-2:] == ["key.update", "key.update"]
    assert (await events(database, owner))[-1] == "KeyChanged:update"


async def test_update_refuses_a_null_name_and_a_wrong_scope(answer: Answer, owner: Actor, make_key: MakeKey) -> None:
    key_id = (await make_key(owner))["key"]["id"]
    wrong = (await answer(owner, UPDATE, input={"id": key_id, "name": "Kept?", "scopes": ["no spaces"]}))["r"]
    assert (wrong["__typename"], wrong["path"]) == ("ValidationProblem", ["scopes"])
    assert (await answer(owner, f'{{ key(id: "{key_id}") {{ name }} }}'))["key"]["name"] == "Search"
    null = (await answer(owner, UPDATE, input={"id": key_id, "name": None}))["r"]
    assert (null["__typename"], null["path"]) == ("ValidationProblem", ["name"])


async def test_pause_resume_revoke(answer: Answer, database: Database, owner: Actor, make_key: MakeKey) -> None:
    key_id = (await make_key(owner))["key"]["id"]
    for document, status in ((PAUSE, "PAUSED"), (PAUSE, "PAUSED"), (RESUME, "ACTIVE"), (REVOKE, "REVOKED")):
        assert (await answer(owner, document, id=key_id))["r"]["key"]["status"] == status
    again = (await answer(owner, REVOKE, id=key_id))["r"]["key"]
    assert (again["status"], again["revokedReason"]) == ("REVOKED", "leaked")
    assert (await actions(database, owner))[-3:] == ["key.pause", "key.resume", "key.revoke"]
    assert [event for event in await events(database, owner) if event.startswith("Key")] == [
        "KeyCreated",
        "KeyChanged:pause",
        "KeyChanged:resume",
        "KeyRevoked",
    ]


async def test_rotate_shows_a_new_secret(answer: Answer, database: Database, owner: Actor, make_key: MakeKey) -> None:
    made = await make_key(owner)
    rotated = (await answer(owner, ROTATE, id=made["key"]["id"]))["r"]
    assert rotated["__typename"] == "RotatedKey"
    assert rotated["secret"] != made["secret"]
    assert (await actions(database, owner))[-1] == "key.rotate"
    assert (await events(database, owner))[-1] == "KeyChanged:rotate"
    for overlap in (-1, 2592001):
        problem = (await answer(owner, ROTATE, id=made["key"]["id"], o=overlap))["r"]
        assert (problem["code"], problem["path"]) == ("INVALID", ["overlapSeconds"])


@pytest.mark.parametrize("verb", ["pause", "resume", "rotate", "update"])
async def test_a_revoked_key_does_not_change(answer: Answer, owner: Actor, make_key: MakeKey, verb: str) -> None:
    key_id = (await make_key(owner))["key"]["id"]
    await answer(owner, REVOKE, id=key_id)
    problem = await run(answer, owner, verb, key_id)
    assert (problem["__typename"], problem["code"], problem["path"]) == ("ConflictProblem", "CONFLICT", ["id"])


@pytest.mark.parametrize("verb", [*BY_ID, "update"])
async def test_another_accounts_key_answers_exactly_like_a_missing_one(
    answer: Answer, owner: Actor, stranger: Actor, make_key: MakeKey, verb: str
) -> None:
    theirs = (await make_key(stranger))["key"]["id"]
    problem = await run(answer, owner, verb, theirs)
    assert problem == await run(answer, owner, verb, MISSING)
    assert (problem["__typename"], problem["code"]) == ("NotFoundProblem", "NOT_FOUND")
    shown = (await answer(stranger, f'{{ key(id: "{theirs}") {{ status secrets {{ id }} }} }}'))["key"]
    assert shown["status"] == "ACTIVE"
    assert len(shown["secrets"]) == 1


@pytest.mark.parametrize("role", [Role.VIEWER, Role.BILLING])
async def test_roles_that_only_read_are_refused(answer: Answer, make_account: MakeAccount, role: Role) -> None:
    actor = await make_account(role=role)
    made = (await answer(actor, CREATE, input={"name": "A"}))["createKey"]
    problems = [made] + [await run(answer, actor, verb, MISSING) for verb in [*BY_ID, "update"]]
    assert {(each["__typename"], each["code"]) for each in problems} == {("ForbiddenProblem", "FORBIDDEN")}


async def test_a_developer_may(make_account: MakeAccount, make_key: MakeKey) -> None:
    assert await make_key(await make_account(role=Role.DEVELOPER))


async def test_an_anonymous_caller_changes_nothing(ask: Ask) -> None:
    results = [await ask(None, CREATE, input={"name": "A"})]
    results += [await ask(None, document, id=MISSING) for document in BY_ID.values()]
    assert [codes(result) for result in results] == [["UNAUTHENTICATED"]] * 5
    assert {result.data is None for result in results} == {True}


async def test_a_problem_undoes_only_its_own_mutation(
    answer: Answer, database: Database, owner: Actor, make_key: MakeKey
) -> None:
    key_id = (await make_key(owner))["key"]["id"]
    document = """
    mutation Three($id: ID!) {
      a: createKey(input: {name: "A"}) { __typename }
      b: updateKey(input: {id: $id, name: "Lost", scopes: ["no spaces"]}) { __typename }
      c: pauseKey(id: $id) { __typename ... on KeyChanged { key { name status } } }
    }
    """
    data = await answer(owner, document, id=key_id)
    assert [data[name]["__typename"] for name in "abc"] == ["CreatedKey", "ValidationProblem", "KeyChanged"]
    assert data["c"]["key"] == {"name": "Search", "status": "PAUSED"}
    assert (await actions(database, owner))[-2:] == ["key.create", "key.pause"]
    assert "KeyChanged:update" not in await events(database, owner)


async def test_an_error_undoes_the_whole_operation(ask: Ask, answer: Answer, owner: Actor) -> None:
    document = """
    mutation {
      createKey(input: {name: "A"}) {
        ... on CreatedKey { key { usage(from: "2026-01-02T00:00:00Z", to: "2026-01-01T00:00:00Z") { timeZone } } }
      }
    }
    """
    result = await ask(owner, document)
    assert codes(result) == ["INVALID"]
    assert result.data is None
    assert (await answer(owner, "{ keys { totalCount } }"))["keys"]["totalCount"] == 0


async def run(answer: Answer, actor: Actor, verb: str, key_id: str) -> dict[str, Any]:
    if verb == "update":
        data = await answer(actor, UPDATE, input={"id": key_id, "name": "New"})
    else:
        data = await answer(actor, BY_ID[verb], id=key_id)
    result: dict[str, Any] = data["r"]
    return result
