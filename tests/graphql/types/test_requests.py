"""The request log over GraphQL: pages, one by its id, why it ended so, and nobody else's."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from portal.core.actor import Actor
from portal.core.clock import utc_now
from portal.core.database import Database
from portal.usage import settle_usage
from tests.graphql.conftest import Answer, Ask, MakeKey, codes
from tests.graphql.types.test_usage import TODAY, count
from tests.usage.sample import request_id

LOG = """
query Log($first: Int! = 25, $after: String, $from: DateTime, $to: DateTime, $filter: UsageFilter) {
  requests(first: $first, after: $after, from: $from, to: $to, filter: $filter) {
    totalCount pageInfo { hasNextPage endCursor }
    nodes {
      id at keyId keyName secretId environment resource outcome isAllowed cost period settledAt reason { what remedy }
    }
  }
}
"""
ONE = "query One($id: ID!) { request(id: $id) { id outcome } node(id: $id) { id ... on UsageRequest { outcome } } }"
PREVIOUS = """
query P($from: DateTime!, $to: DateTime!, $granularity: Granularity! = DAY, $groupBy: UsageGroup) {
  usage(from: $from, to: $to, granularity: $granularity, groupBy: $groupBy, timeZone: "Europe/Berlin") {
    previous { from to totals { calls } groups { label totals { calls } } points { at totals { calls } } }
  }
}
"""
TOP = """
query T($from: DateTime!, $to: DateTime!, $by: UsageGroup! = RESOURCE, $first: Int! = 2, $filter: UsageFilter) {
  topUsage(from: $from, to: $to, by: $by, first: $first, filter: $filter) { key label totals { calls denied } }
}
"""
STRETCH = {"from": (TODAY - timedelta(days=2)).isoformat(), "to": (TODAY + timedelta(days=1)).isoformat()}


async def three(database: Database, owner: Actor, make_key: MakeKey) -> str:
    key_id = str((await make_key(owner, name="Shop"))["key"]["id"])
    await count(database, owner, key_id, at=TODAY - timedelta(days=1))
    await count(database, owner, key_id, at=TODAY - timedelta(hours=20), code="RATE_LIMITED", cost=3)
    await count(database, owner, key_id, at=TODAY - timedelta(hours=10), resource="POST /b")
    return key_id


async def test_pages_newest_first(answer: Answer, database: Database, owner: Actor, make_key: MakeKey) -> None:
    key_id = await three(database, owner, make_key)
    first = (await answer(owner, LOG, first=2))["requests"]
    assert first["totalCount"] == 3
    assert first["pageInfo"]["hasNextPage"]
    second = (await answer(owner, LOG, first=2, after=first["pageInfo"]["endCursor"]))["requests"]
    assert not second["pageInfo"]["hasNextPage"]
    shown = first["nodes"] + second["nodes"]
    assert [one["resource"] for one in shown] == ["POST /b", "GET /a", "GET /a"]
    denied = shown[1]
    assert (denied["outcome"], denied["isAllowed"], denied["cost"]) == ("RATE_LIMITED", False, 3)
    assert (denied["keyId"], denied["keyName"], denied["environment"]) == (key_id, "Shop", "LIVE")
    assert "no room" in denied["reason"]["what"]
    assert denied["reason"]["remedy"]
    assert shown[0]["reason"]["remedy"] is None
    assert datetime.fromisoformat(denied["at"]) == TODAY - timedelta(hours=20)


async def test_filters_and_ranges(answer: Answer, database: Database, owner: Actor, make_key: MakeKey) -> None:
    key_id = await three(database, owner, make_key)
    for which, calls in (
        ({"outcome": "RATE_LIMITED"}, 1),
        ({"resource": "GET /a"}, 2),
        ({"environment": "TEST"}, 0),
        ({"keyId": key_id, "outcome": "VALID"}, 2),
        ({"keyId": "key_none"}, 0),
    ):
        found = (await answer(owner, LOG, filter=which))["requests"]
        assert (len(found["nodes"]), found["totalCount"]) == (calls, calls)
    early = {"from": (TODAY - timedelta(days=2)).isoformat(), "to": (TODAY - timedelta(hours=22)).isoformat()}
    assert len((await answer(owner, LOG, **early))["requests"]["nodes"]) == 1


async def test_one_by_the_id_that_the_gateway_got(
    answer: Answer, database: Database, owner: Actor, stranger: Actor, make_key: MakeKey
) -> None:
    await three(database, owner, make_key)
    denied = (await answer(owner, LOG))["requests"]["nodes"][1]
    found = await answer(owner, ONE, id=denied["id"])
    assert found["request"] == found["node"] == {"id": denied["id"], "outcome": "RATE_LIMITED"}
    for actor, wanted in ((stranger, denied["id"]), (owner, request_id(TODAY, 1)), (owner, "req_nonsense")):
        assert await answer(actor, ONE, id=wanted) == {"request": None, "node": None}
    assert (await answer(stranger, LOG))["requests"]["nodes"] == []


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"from": "2020-01-01T00:00:00Z"}, ["from"]),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, ["from"]),
        ({"to": "0001-01-01T00:00:00Z"}, ["from"]),
        ({"first": 101}, ["first"]),
        ({"after": "nonsense"}, ["after"]),
    ],
)
async def test_what_cannot_be_served_is_refused(
    ask: Ask, owner: Actor, fields: dict[str, Any], path: list[str]
) -> None:
    result = await ask(owner, LOG, **fields)
    assert codes(result) == ["INVALID"]
    assert (result.errors[0].extensions or {})["path"] == path


@pytest.mark.parametrize("document", [LOG, '{ request(id: "req_0") { id } }'])
async def test_an_anonymous_caller_is_asked_to_sign_in(ask: Ask, document: str) -> None:
    assert codes(await ask(None, document)) == ["UNAUTHENTICATED"]


async def test_a_viewer_reads_it(answer: Answer, viewer: Actor) -> None:
    assert (await answer(viewer, LOG))["requests"]["totalCount"] == 0


async def test_the_stretch_before(answer: Answer, database: Database, owner: Actor, make_key: MakeKey) -> None:
    key_id = (await make_key(owner, name="Shop"))["key"]["id"]
    noon = datetime.fromisoformat("2026-02-10T12:00:00Z")
    await count(database, owner, key_id, at=noon)
    march = {"from": "2026-03-01T00:00:00+01:00", "to": "2026-04-01T00:00:00+02:00"}
    before = (await answer(owner, PREVIOUS, groupBy="KEY", **march))["usage"]["previous"]
    assert (before["from"], before["to"]) == ("2026-01-31T23:00:00Z", "2026-02-28T23:00:00Z")
    assert before["totals"]["calls"] == 1
    assert before["groups"] == [{"label": "Shop", "totals": {"calls": 1}}]
    assert [point["totals"]["calls"] for point in before["points"]] == [0] * 9 + [1] + [0] * 18


async def test_the_most_used(
    answer: Answer, database: Database, owner: Actor, stranger: Actor, make_key: MakeKey
) -> None:
    key_id = await three(database, owner, make_key)
    for _ in range(3):
        await count(database, owner, key_id, resource="GET /c")
    top = (await answer(owner, TOP, **STRETCH))["topUsage"]
    assert [(one["key"], one["totals"]["calls"]) for one in top] == [("GET /c", 3), ("GET /a", 2), ("other", 1)]
    by_key = (await answer(owner, TOP, by="KEY", filter={"outcome": "RATE_LIMITED"}, **STRETCH))["topUsage"]
    assert by_key == [{"key": key_id, "label": "Shop", "totals": {"calls": 1, "denied": 1}}]
    assert (await answer(stranger, TOP, **STRETCH))["topUsage"] == []


async def test_a_top_of_none_is_refused(ask: Ask, owner: Actor) -> None:
    assert codes(await ask(owner, TOP, first=0, **STRETCH)) == ["INVALID"]


async def test_a_settled_request_says_so(answer: Answer, database: Database, owner: Actor, make_key: MakeKey) -> None:
    key_id = (await make_key(owner))["key"]["id"]
    await count(database, owner, key_id, at=utc_now(), cost=9)
    (shown,) = (await answer(owner, LOG))["requests"]["nodes"]
    async with database.transaction() as tx:
        await settle_usage(tx, shown["id"], 4)
    (settled,) = (await answer(owner, LOG))["requests"]["nodes"]
    assert (settled["cost"], settled["settledAt"] is not None) == (4, True)
