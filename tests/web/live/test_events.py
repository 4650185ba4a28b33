"""Subscriptions as server-sent events."""

import pytest
from sqlalchemy import text

from portal import keys
from tests.web.graphql_client import Visitor
from tests.web.live.clients import CHANGES, TICKS, Portal, events_of, until

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.mark.parametrize("address", ["/graphql", "/graphql/stream"])
async def test_counters_come_as_events(portal: Portal, visitor: Visitor, address: str) -> None:
    async with events_of(portal, visitor, TICKS, address) as (response, events):
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["Cache-Control"] == "no-store"
        assert "Content-Encoding" not in response.headers
        name, told = await anext(events)
        assert (name, told["data"]["usageTicks"]["calls"]) == ("next", 0)


@pytest.mark.usefixtures("relaying")
async def test_changes_of_keys_come_as_events(portal: Portal, visitor: Visitor) -> None:
    async with events_of(portal, visitor, CHANGES) as (_, events):
        await until(lambda: portal.web.hub.sizes()["channels"] == 1)
        async with portal.database.transaction(visitor.actor.account_id) as tx:
            key_id = (await keys.create_key(tx, visitor.actor, keys.NewKey("A"))).key.id
        _, told = await anext(events)
        assert told["data"]["keyChanged"]["key"]["id"] == key_id


async def test_a_query_is_a_stream_of_one(portal: Portal, visitor: Visitor) -> None:
    async with events_of(portal, visitor, "{ viewer { role } }") as (_, events):
        assert [(name, (told or {}).get("data")) async for name, told in events] == [
            ("next", {"viewer": {"role": "owner"}}),
            ("complete", None),
        ]


@pytest.mark.parametrize("query", ["subscription {", "subscription { nothing }", ""])
async def test_what_cannot_run_begins_no_stream(portal: Portal, visitor: Visitor, query: str) -> None:
    async with events_of(portal, visitor, query) as (response, _):
        await response.aread()
        assert response.status_code == 400
        assert response.headers["Content-Type"].startswith("application/json")
        assert response.json()["errors"]


async def test_an_anonymous_caller_receives_nothing(portal: Portal) -> None:
    async with events_of(portal, None, TICKS) as (response, _):
        await response.aread()
        assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_signed_out_reader_is_notified_and_disconnected(portal: Portal, visitor: Visitor) -> None:
    async with events_of(portal, visitor, TICKS) as (_, events):
        await anext(events)
        async with portal.database.transaction() as tx:
            revoke = "UPDATE personal_tokens SET revoked_at = now() WHERE account_id = :account"
            await tx.execute(text(revoke), {"account": visitor.actor.account_id})
        _, told = await anext(events)
        assert told["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert await anext(events) == ("complete", None)


async def test_so_many_readers_an_account(portal: Portal, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.graphql.live_connections.MAX_ACCOUNT", 1)
    async with events_of(portal, visitor, TICKS) as (_, events):
        await anext(events)
        async with events_of(portal, visitor, TICKS) as (response, _):
            assert response.status_code == 429


async def test_a_portal_that_stops_lets_its_readers_go(portal: Portal, visitor: Visitor) -> None:
    async with events_of(portal, visitor, TICKS) as (_, events):
        await anext(events)
        portal.web.connections.end_all()
        assert [name async for name, _ in events] == ["next", "complete"]


async def test_a_quiet_stream_still_shows_that_it_lives(
    portal: Portal, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.graphql.sse.QUIET_SECONDS", 0.05)
    async with events_of(portal, visitor, CHANGES) as (response, _):
        is_alive = False
        async for line in response.aiter_lines():
            is_alive = line == ":"
            if is_alive:
                break
        assert is_alive
