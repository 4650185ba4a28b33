"""The caller's own over GraphQL: memberships, members, sessions, tokens."""

from dataclasses import replace

from portal import accounts
from portal.core.actor import Actor, Role
from portal.core.database import Database
from portal.core.ids import new_id
from tests.graphql.conftest import Answer, Ask, codes
from tests.graphql.world import Tenant, new_caller, new_session

CREATE = """
mutation Create($input: CreatePersonalTokenInput!) {
  createPersonalToken(input: $input) {
    ... on CreatedPersonalToken { token personalToken { id name masked scopes status lastUsedAt expiresAt } }
    ... on Problem { code message path }
  }
}
"""
REVOKE = """
mutation R($id: ID!) { revokePersonalToken(id: $id) { ... on RevokedPersonalToken { personalToken { status } } } }
"""
TOKENS = "{ personalTokens(first: 2) { totalCount pageInfo { hasNextPage endCursor } nodes { id name status } } }"


async def test_memberships_and_the_current_one(answer: Answer, owner: Actor) -> None:
    viewer = (await answer(owner, "{ viewer { memberships { role isCurrent account { id name } } } }"))["viewer"]
    (membership,) = viewer["memberships"]
    assert (membership["role"], membership["isCurrent"]) == ("owner", True)
    assert membership["account"] == {"id": owner.account_id, "name": "Acme"}


async def test_a_token_sees_none_of_its_persons_other_accounts(
    answer: Answer, database: Database, owner: Actor, stranger: Actor
) -> None:
    async with database.transaction() as tx:
        there = accounts.Membership(
            account_id=stranger.account_id, person_id=owner.id, role="viewer", created_at=tx.now
        )
        await tx.insert(there)
    async with database.transaction(actor=owner) as tx:
        token = (await accounts.create_personal_token(tx, owner, "script")).token
    async with database.transaction() as tx:
        found = await accounts.authenticate_token(tx, token, None)
    assert found is not None
    document = """query Q($here: ID!, $there: ID!) { viewer { memberships { isCurrent account { id } } }
        here: node(id: $here) { id } there: node(id: $there) { id } }"""
    accounts_of = {"here": owner.account_id, "there": stranger.account_id}
    own, other = ({"id": account_id} for account_id in accounts_of.values())
    in_browser = await answer(owner, document, **accounts_of)
    assert [one["account"] for one in in_browser["viewer"]["memberships"]] == [own, other]
    assert in_browser["there"] == other
    assert await answer(found.actor, document, **accounts_of) == {
        "viewer": {"memberships": [{"isCurrent": True, "account": own}]},
        "here": own,
        "there": None,
    }
    switch = "mutation S($id: ID!) { switchAccount(accountId: $id) { __typename ... on Problem { message } } }"
    answers = [await answer(found.actor, switch, id=name) for name in (stranger.account_id, "acct_nowhere")]
    assert answers[0] == answers[1]
    assert answers[0]["switchAccount"]["__typename"] == "ConflictProblem"


async def test_members_are_paged_in_the_order_of_joining(answer: Answer, database: Database, owner: Actor) -> None:
    async with database.transaction() as tx:
        for role in (Role.DEVELOPER, Role.BILLING):
            await accounts.add_member(tx, owner, accounts.NewMember(f"{new_id('m').lower()}@example.com", "Ben", role))
    document = """query M($after: String) { members(first: 2, after: $after) {
        totalCount pageInfo { hasNextPage endCursor } nodes { role person { id email } } } }"""
    first = (await answer(owner, document))["members"]
    rest = (await answer(owner, document, after=first["pageInfo"]["endCursor"]))["members"]
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (3, True, False)
    assert first["nodes"][0]["person"]["id"] == owner.id
    assert {node["role"] for node in (*first["nodes"], *rest["nodes"])} == {"owner", "developer", "billing"}


async def test_a_token_is_made_listed_and_revoked(answer: Answer, owner: Actor) -> None:
    for name in ("one", "two", "three"):
        made = (await answer(owner, CREATE, input={"name": name, "scopes": ["keys:read"]}))["createPersonalToken"]
    assert made["token"].startswith("pat_")
    assert made["personalToken"]["scopes"] == ["keys:read"]
    assert made["personalToken"]["status"] == "ACTIVE"
    page = (await answer(owner, TOKENS))["personalTokens"]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (3, True)
    assert [node["name"] for node in page["nodes"]] == ["three", "two"]
    revoked = await answer(owner, REVOKE, id=made["personalToken"]["id"])
    assert revoked["revokePersonalToken"]["personalToken"]["status"] == "REVOKED"


async def test_mistakes_are_problems_with_their_field(answer: Answer, owner: Actor) -> None:
    for given, field in (
        ({"name": " "}, "name"),
        ({"name": "x", "scopes": ["fly"]}, "scopes"),
        ({"name": "x", "expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
    ):
        problem = (await answer(owner, CREATE, input=given))["createPersonalToken"]
        assert (problem["code"], problem["path"]) == ("INVALID", [field])


async def test_a_scoped_caller_learns_which_scope_is_missing(ask: Ask, owner: Actor) -> None:
    scoped = replace(owner, scopes=frozenset({"usage:read"}))
    result = await ask(scoped, "{ keys { totalCount } }")
    assert codes(result) == ["FORBIDDEN"]
    assert "keys:read" in result.errors[0].message
    viewer = await ask(scoped, "{ viewer { permissions } }")
    assert viewer.data == {"viewer": {"permissions": ["usage:read"]}}
    elsewhere = await ask(scoped, "{ viewer { memberships { account { name } } } }")
    assert codes(elsewhere) == ["FORBIDDEN"]


async def test_sessions_know_which_is_this_one(answer: Answer, database: Database, owner: Actor) -> None:
    caller = await new_caller(database, Tenant(owner), "admin")
    other = await new_session(database, caller.actor.id)
    document = "{ sessions { totalCount nodes { id device address isCurrent } } }"
    nodes = {node["id"]: node for node in (await answer(caller.actor, document))["sessions"]["nodes"]}
    assert nodes[caller.actor.credential or ""]["isCurrent"]
    assert nodes[caller.actor.credential or ""]["device"] == "Firefox on Linux"
    assert not nodes[other]["isCurrent"]
    end = "mutation E { revokeOtherSessions { ... on RevokedOtherSessions { count } } }"
    assert (await answer(caller.actor, end))["revokeOtherSessions"] == {"count": 1}
