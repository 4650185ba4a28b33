"""The audit log over GraphQL: told, filtered, paged, verified."""

from sqlalchemy import text

from portal import audit
from portal.core.actor import Actor
from portal.core.database import Database
from tests.graphql.conftest import Answer, Ask, MakeKey, codes

EVENTS = """
query E($first: Int!, $after: String, $filter: AuditFilter) {
  auditEvents(first: $first, after: $after, filter: $filter) {
    totalCount
    pageInfo { hasNextPage endCursor }
    nodes { id sequence action subject subjectName details hash actor { kind id name address } }
  }
}
"""
CHAIN = "{ auditChain { events verified isIntact brokenAt lastHash } }"


async def test_an_act_names_who_did_what_to_which_thing(answer: Answer, owner: Actor, make_key: MakeKey) -> None:
    key_id = (await make_key(owner, name="Search"))["key"]["id"]
    (event,) = (await answer(owner, EVENTS, first=1))["auditEvents"]["nodes"]
    assert (event["action"], event["subject"], event["subjectName"]) == ("key.create", key_id, "Search")
    assert event["actor"] == {"kind": "PERSON", "id": owner.id, "name": "Ann", "address": None}
    assert event["details"]["environment"] == "live"
    node = "query N($id: ID!) { node(id: $id) { ... on AuditEvent { action sequence } } }"
    assert (await answer(owner, node, id=event["id"]))["node"]["sequence"] == event["sequence"]
    assert (await answer(owner, node, id=f"{event['id']}9"))["node"] is None


async def test_pages_and_filters(answer: Answer, ask: Ask, owner: Actor, make_key: MakeKey) -> None:
    ids = [(await make_key(owner))["key"]["id"] for _ in range(3)]
    seen, after = [], None
    while True:
        page = (await answer(owner, EVENTS, first=2, after=after, filter={"action": "key"}))["auditEvents"]
        seen += [node["subject"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == [*reversed(ids)]
    assert page["totalCount"] == 3
    for chosen, count in (
        ({"action": "key.create"}, 3),
        ({"action": "key.revoke"}, 0),
        ({"action": "ke"}, 0),
        ({"subject": ids[0]}, 1),
        ({"actor": owner.id}, 4),
        ({"actor": "usr_nobody"}, 0),
    ):
        assert (await answer(owner, EVENTS, first=1, filter=chosen))["auditEvents"]["totalCount"] == count
    (stray,) = (await answer(owner, "{ keys(first: 1) { edges { cursor } } }"))["keys"]["edges"]
    assert codes(await ask(owner, EVENTS, first=1, after=stray["cursor"])) == ["INVALID"]


async def test_the_chain_holds_until_somebody_changes_it(
    answer: Answer, database: Database, owner: Actor, make_key: MakeKey
) -> None:
    for _ in range(3):
        await make_key(owner)
    chain = (await answer(owner, CHAIN))["auditChain"]
    assert (chain["events"], chain["verified"], chain["isIntact"], chain["brokenAt"]) == (4, 4, True, None)
    async with database.transaction() as tx:
        state = await audit.verify_newest(tx, owner.account_id, 2)
        assert (state.events, state.verified, state.broken) == (4, 2, None)
    change = text("UPDATE audit_events SET subject = 'key_other' WHERE account_id = :account AND sequence = 3")
    async with database.owner_transaction() as tx:
        await tx.execute(change, {"account": owner.account_id})
    chain = (await answer(owner, CHAIN))["auditChain"]
    assert (chain["isIntact"], chain["brokenAt"]) == (False, 3)
