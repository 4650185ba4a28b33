"""Reading keys: one, pages of them, what belongs to another account, and how many statements it takes."""

from typing import Any

import pytest

from portal import keys
from portal.core.actor import Actor
from portal.core.database import Database, Tx
from tests.graphql.conftest import Answer, Ask, MakeKey, codes

LIST = """
query Keys($first: Int! = 25, $after: String, $search: String, $environment: Environment, $status: KeyStatus) {
  keys(first: $first, after: $after, search: $search, environment: $environment, status: $status) {
    totalCount
    nodes { id name }
    edges { cursor node { name } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""
SHOW = """
query Show($id: ID!) {
  key(id: $id) { id name environment status maskedSecret secrets { id masked isCurrent endsAt lastUsedAt } lastUsedAt }
}
"""
FULL = """
query Full($first: Int!) {
  keys(first: $first) {
    totalCount
    nodes { id name status maskedSecret lastUsedAt secrets { masked isCurrent lastUsedAt } }
  }
}
"""


async def names(answer: Answer, actor: Actor, **variables: Any) -> list[str]:
    data = await answer(actor, LIST, **variables)
    return [node["name"] for node in data["keys"]["nodes"]]


@pytest.mark.fast
async def test_a_key_shows_what_it_was_made_with(answer: Answer, owner: Actor, make_key: MakeKey) -> None:
    made = await make_key(owner, name="Checkout", environment="TEST", metadata={"team": ["a", 1.5, None]})
    assert made["key"]["metadata"] == {"team": ["a", 1.5, None]}
    key = (await answer(owner, SHOW, id=made["key"]["id"]))["key"]
    secret = made["secret"]
    assert secret.startswith("pk_test_")
    assert key["maskedSecret"] == f"{secret[:12]}…{secret[-4:]}"
    assert key["status"] == "ACTIVE"
    assert key["lastUsedAt"] is None
    assert [one["isCurrent"] for one in key["secrets"]] == [True]


async def test_a_viewer_reads(answer: Answer, viewer: Actor) -> None:
    assert await names(answer, viewer) == []


async def test_pages_follow_one_another_without_gap(answer: Answer, owner: Actor, make_key: MakeKey) -> None:
    for number in range(5):
        await make_key(owner, name=f"K{number}")
    first = (await answer(owner, LIST, first=2))["keys"]
    assert [node["name"] for node in first["nodes"]] == ["K4", "K3"]
    assert [edge["node"]["name"] for edge in first["edges"]] == ["K4", "K3"]
    assert first["totalCount"] == 5
    info = first["pageInfo"]
    assert (info["hasNextPage"], info["hasPreviousPage"]) == (True, False)
    assert info["endCursor"] == first["edges"][-1]["cursor"]
    second = (await answer(owner, LIST, first=3, after=info["endCursor"]))["keys"]
    assert [node["name"] for node in second["nodes"]] == ["K2", "K1", "K0"]
    assert (second["pageInfo"]["hasNextPage"], second["pageInfo"]["hasPreviousPage"]) == (False, True)


async def test_pages_hold_still_while_keys_are_added(answer: Answer, owner: Actor, make_key: MakeKey) -> None:
    for number in range(4):
        await make_key(owner, name=f"K{number}")
    first = (await answer(owner, LIST, first=2))["keys"]
    await make_key(owner, name="new")
    assert await names(answer, owner, first=2, after=first["pageInfo"]["endCursor"]) == ["K1", "K0"]


async def test_a_page_past_the_end_is_empty(answer: Answer, owner: Actor, make_key: MakeKey) -> None:
    await make_key(owner)
    end = (await answer(owner, LIST))["keys"]["pageInfo"]["endCursor"]
    page = (await answer(owner, LIST, after=end))["keys"]
    assert page["nodes"] == []
    assert page["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": True,
        "startCursor": None,
        "endCursor": None,
    }


CONNECTIONS = [
    "keys",
    "personalTokens",
    "sessions",
    "members",
    "invoices",
    "requests",
    "auditEvents",
]


@pytest.mark.parametrize("after", [None, ""])
@pytest.mark.parametrize("field", CONNECTIONS)
async def test_an_empty_cursor_is_the_first_page(
    answer: Answer, owner: Actor, make_key: MakeKey, field: str, after: str | None
) -> None:
    await make_key(owner)
    document = f"query C($after: String) {{ {field}(after: $after) {{ pageInfo {{ hasPreviousPage }} }} }}"
    page = (await answer(owner, document, after=after))[field]
    assert page["pageInfo"] == {"hasPreviousPage": False}


async def test_filters(answer: Answer, owner: Actor, make_key: MakeKey) -> None:
    await make_key(owner, name="Live one")
    made = await make_key(owner, name="Test one", environment="TEST")
    await answer(owner, "mutation P($id: ID!) { pauseKey(id: $id) { __typename } }", id=made["key"]["id"])
    assert await names(answer, owner, environment="LIVE") == ["Live one"]
    assert await names(answer, owner, status="PAUSED") == ["Test one"]
    assert await names(answer, owner, search="test") == ["Test one"]
    assert await names(answer, owner, search=made["key"]["maskedSecret"][-4:]) == ["Test one"]
    assert await names(answer, owner, search="%") == []


@pytest.mark.parametrize("first", [0, -1, 101])
async def test_a_page_has_1_to_100_rows(ask: Ask, owner: Actor, first: int) -> None:
    result = await ask(owner, LIST, first=first)
    assert codes(result) == ["INVALID"]
    assert (result.errors[0].extensions or {})["path"] == ["first"]


@pytest.mark.parametrize("cursor", ["x", "é", "MTIz", "MTIzIA==", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTkgYQ", "A" * 5000])
async def test_a_cursor_that_is_none_of_ours_is_refused(ask: Ask, owner: Actor, cursor: str) -> None:
    assert codes(await ask(owner, LIST, after=cursor)) == ["INVALID"]


async def test_another_accounts_key_answers_like_a_missing_one(
    answer: Answer, stranger: Actor, owner: Actor, make_key: MakeKey
) -> None:
    key_id = (await make_key(stranger))["key"]["id"]
    both = "query Q($id: ID!) { key(id: $id) { id } node(id: $id) { id } }"
    missing = await answer(owner, both, id="key_0000000000000000000000MISS")
    assert await answer(owner, both, id=key_id) == missing == {"key": None, "node": None}


async def test_node_finds_own_objects_by_prefix(
    answer: Answer, owner: Actor, stranger: Actor, make_key: MakeKey
) -> None:
    ask_node = "query N($id: ID!) { node(id: $id) { __typename id } }"
    key_id = (await make_key(owner))["key"]["id"]
    (plan, *_) = (await answer(owner, "{ plans { id } }"))["plans"]
    for node_id, kind in ((key_id, "Key"), (owner.account_id, "Account"), (plan["id"], "Plan")):
        assert (await answer(owner, ask_node, id=node_id))["node"] == {"__typename": kind, "id": node_id}
    for node_id in (stranger.account_id, stranger.id, "plan_none", "key_", "", "x" * 1000):
        assert (await answer(owner, ask_node, id=node_id))["node"] is None


async def test_an_anonymous_caller_reads_nothing(ask: Ask) -> None:
    for document in (
        "{ viewer { role } }",
        "{ keys { totalCount } }",
        '{ node(id: "key_x") { id } }',
        "{ plans { id } }",
    ):
        result = await ask(None, document)
        assert result.data is None or set(result.data.values()) == {None}
        assert codes(result) == ["UNAUTHENTICATED"]


async def test_a_list_takes_as_many_statements_for_25_keys_as_for_5(
    answer: Answer, database: Database, owner: Actor, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(25):
        await make_key(owner, name=f"K{number}")
    statements: list[int] = []
    execute = Tx.execute

    async def counting(tx: Tx, statement: Any, parameters: Any = None) -> Any:
        statements[-1] += 1
        return await execute(tx, statement, parameters)

    monkeypatch.setattr(Tx, "execute", counting)
    for first in (5, 25):
        statements.append(0)
        page = (await answer(owner, FULL, first=first))["keys"]
        assert len(page["nodes"]) == first
    # The person, the time limit, the page, its count, the secrets, their uses.
    assert statements == [6, 6]


async def test_a_rotated_key_shows_both_secrets(
    answer: Answer, database: Database, owner: Actor, make_key: MakeKey
) -> None:
    key_id = (await make_key(owner))["key"]["id"]
    await answer(owner, "mutation R($id: ID!) { rotateKey(id: $id) { __typename } }", id=key_id)
    shown = (await answer(owner, SHOW, id=key_id))["key"]
    assert [one["isCurrent"] for one in shown["secrets"]] == [True, False]
    assert shown["maskedSecret"] == shown["secrets"][0]["masked"]
    async with database.transaction() as tx:
        rows = await keys.list_secrets(tx, owner.account_id, [key_id])
    assert [row.id for row in rows] == [one["id"] for one in shown["secrets"]]
