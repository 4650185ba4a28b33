"""graphql-transport-ws: the protocol, who may, what is told, and that everything ends with the connection."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy import text
from websockets.exceptions import InvalidStatus

from portal import keys
from portal.core.actor import Actor
from portal.core.database import Database
from tests.web.graphql_client import Visitor, new_visitor
from tests.web.live.clients import CHANGES, TICKS, Client, Portal, greeted, opened, until

pytestmark = pytest.mark.usefixtures("quiet")


async def make_key(portal: Portal, actor: Actor, name: str = "A") -> str:
    async with portal.database.transaction(actor.account_id) as tx:
        return (await keys.create_key(tx, actor, keys.NewKey(name))).key.id


async def test_counters_come_at_once(portal: Portal, visitor: Visitor) -> None:
    async with greeted(portal, visitor) as client:
        await client.subscribe("1", TICKS)
        tick = (await client.next("1"))["usageTicks"]
    assert (tick["calls"], tick["quotaUsed"]) == (0, 0)
    assert tick["quotaRemaining"] == tick["quotaLimit"] > 0


async def test_counters_come_again_when_they_have_changed(portal: Portal, visitor: Visitor) -> None:
    async with greeted(portal, visitor) as client, greeted(portal, visitor) as other:
        for one in (client, other):
            await one.subscribe("1", TICKS)
            await one.next("1")
        assert portal.web.hub.sizes() == {"accounts": 1, "subscribers": 2, "pollers": 1, "channels": 0}
        used = "INSERT INTO usage_periods (account_id, period, used) VALUES (:account, to_char(now(), 'YYYY-MM'), 7)"
        async with portal.database.transaction() as tx:
            await tx.execute(text(used), {"account": visitor.actor.account_id})
        for one in (client, other):
            assert (await one.next("1"))["usageTicks"]["quotaUsed"] == 7


@pytest.mark.usefixtures("relaying")
async def test_a_key_change_reaches_other_processes(portal: Portal, visitor: Visitor) -> None:
    async with greeted(portal, visitor) as client:
        await client.subscribe("all", CHANGES)
        await until(lambda: portal.web.hub.sizes()["channels"] == 1)
        key_id = await make_key(portal, visitor.actor, "Search")
        told = (await client.next("all"))["keyChanged"]
        assert (told["keyId"], told["change"]) == (key_id, "CREATED")
        assert told["key"] == {"id": key_id, "name": "Search", "status": "ACTIVE"}
        async with portal.database.transaction(visitor.actor.account_id) as tx:
            await keys.pause_key(tx, visitor.actor, key_id)
            await keys.revoke_key(tx, visitor.actor, key_id, "Lost")
        paused, revoked = (await client.next("all"))["keyChanged"], (await client.next("all"))["keyChanged"]
    assert [paused["change"], revoked["change"]] == ["PAUSED", "REVOKED"]
    assert revoked["number"] > paused["number"] > told["number"]
    assert revoked["key"]["status"] == "REVOKED"


@pytest.mark.usefixtures("relaying")
async def test_no_events_of_another_accounts_keys(portal: Portal, visitor: Visitor, database: Database) -> None:
    stranger = await new_visitor(database)
    async with greeted(portal, visitor) as client:
        theirs = await make_key(portal, stranger.actor)
        await client.subscribe("all", CHANGES)
        await client.subscribe("theirs", CHANGES, key=theirs)
        await until(lambda: portal.web.hub.sizes()["channels"] == 1)
        async with portal.database.transaction(stranger.actor.account_id) as tx:
            await keys.pause_key(tx, stranger.actor, theirs)
        mine = await make_key(portal, visitor.actor)
        assert (await client.next("all"))["keyChanged"]["keyId"] == mine


async def test_queries_and_mutations_are_answered_too(portal: Portal, visitor: Visitor) -> None:
    async with greeted(portal, visitor) as client:
        await client.subscribe("1", "{ viewer { role } }")
        assert await client.next("1") == {"viewer": {"role": "owner"}}
        assert await client.receive() == {"id": "1", "type": "complete"}
        await client.subscribe("1", 'mutation { createKey(input: {name: "A"}) { __typename } }')
        assert await client.next("1") == {"createKey": {"__typename": "CreatedKey"}}


async def test_a_subscription_ends_when_its_client_completes_it(portal: Portal, visitor: Visitor) -> None:
    async with greeted(portal, visitor) as client:
        await client.subscribe("1", TICKS)
        await client.next("1")
        await client.send(id="1", type="complete")
        await until(lambda: portal.web.hub.sizes()["subscribers"] == 0)
        await client.subscribe("1", TICKS)
        assert await client.next("1")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("subscription {", "BAD_DOCUMENT"),
        ("subscription { nothing }", "BAD_DOCUMENT"),
        ("subscription { usageTicks { at } keyChanged { at } }", "BAD_DOCUMENT"),
        ("subscription ($a: Int!) { usageTicks { at } }", "BAD_DOCUMENT"),
        ("subscription ($key: ID!) { keyChanged(keyId: $key) { at } }", "BAD_VARIABLES"),
        ("subscription { " + "usageTicks { at } " * 51 + "}", "TOO_LARGE"),
    ],
)
async def test_what_cannot_run_is_an_error(portal: Portal, visitor: Visitor, query: str, code: str) -> None:
    async with greeted(portal, visitor) as client:
        await client.subscribe("1", query)
        message = await client.receive()
    assert (message["id"], message["type"]) == ("1", "error")
    assert {error["extensions"]["code"] for error in message["payload"]} == {code}


async def test_a_ping_is_answered(portal: Portal, visitor: Visitor) -> None:
    async with greeted(portal, visitor) as client:
        await client.send(type="ping", payload={"a": 1})
        assert await client.receive() == {"type": "pong"}
        await client.send(type="pong")
        await client.send(type="ping")
        assert await client.receive() == {"type": "pong"}


BREACHES: list[tuple[Any, int]] = [
    ("{", 4400),
    ("[]", 4400),
    ("7", 4400),
    ('{"type": 7}', 4400),
    ('{"type": "start", "id": "1"}', 4400),
    ('{"type": "connection_init"}', 4429),
    ('{"type": "subscribe", "payload": {"query": "{ __typename }"}}', 4400),
    ('{"type": "subscribe", "id": "", "payload": {"query": "{ __typename }"}}', 4400),
    ('{"type": "subscribe", "id": "1"}', 4400),
    ('{"type": "subscribe", "id": "1", "payload": {"query": 7}}', 4400),
    ('{"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "variables": []}}', 4400),
    ('{"type": "subscribe", "id": "' + "x" * 101 + '", "payload": {"query": "{ __typename }"}}', 4400),
    ("[" * 50_000, 4400),
    (b"\x00\x01", 4400),
    ("x" * 110_000, 1009),
    ("x" * 300_000, 1009),
]


@pytest.mark.parametrize(("message", "code"), BREACHES, ids=range(len(BREACHES)))
async def test_a_breach_of_the_protocol_closes(portal: Portal, visitor: Visitor, message: Any, code: int) -> None:
    async with greeted(portal, visitor) as client:
        await client.socket.send(message)
        assert await client.close_code() == code


async def test_an_id_serves_one_operation_at_a_time(portal: Portal, visitor: Visitor) -> None:
    async with greeted(portal, visitor) as client:
        await client.subscribe("1", TICKS)
        await client.subscribe("1", TICKS)
        assert await client.close_code() == 4409


async def test_a_connection_carries_twenty_operations(portal: Portal, visitor: Visitor) -> None:
    async with greeted(portal, visitor) as client:
        for number in range(21):
            await client.subscribe(str(number), TICKS)
        while (message := await client.receive())["type"] == "next":
            pass
        assert (message["id"], message["type"]) == ("20", "error")
        assert message["payload"][0]["extensions"]["code"] == "TOO_MANY_SUBSCRIPTIONS"
        await until(lambda: portal.web.hub.sizes()["subscribers"] == 20)


@pytest.mark.parametrize("protocol", ["graphql-ws", None])
async def test_only_the_present_protocol_is_spoken(portal: Portal, protocol: str | None) -> None:
    async with opened(portal, protocol=protocol) as client:
        assert await client.close_code() == 4406


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"type": "connection_init"}, 4401),
        ({"type": "connection_init", "payload": {"Authorization": "Bearer pat_wrong"}}, 4403),
        ({"type": "connection_init", "payload": {"Authorization": "Basic YTpi"}}, 4403),
        ({"type": "connection_init", "payload": {"Authorization": "Bearer " + "x" * 5000}}, 4403),
        ({"type": "connection_init", "payload": {"Authorization": 7}}, 4401),
        ({"type": "connection_init", "payload": []}, 4401),
        ({"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }"}}, 4401),
        ({"type": "ping"}, 4401),
    ],
)
async def test_a_wrong_first_message_closes_the_socket(portal: Portal, first: dict[str, Any], code: int) -> None:
    async with opened(portal) as client:
        await client.send(**first)
        assert await client.close_code() == code


async def test_who_says_nothing_is_sent_away(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.graphql.websocket.INIT_SECONDS", 0.05)
    async with opened(portal) as client:
        assert await client.close_code() == 4408


async def test_the_cookie_works_from_our_own_pages(portal: Portal, visitor: Visitor) -> None:
    async with opened(portal, Origin=portal.url, Cookie=f"session={visitor.cookie}") as client:
        await client.send(type="connection_init")
        assert await client.receive() == {"type": "connection_ack"}


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", ""])
async def test_a_page_of_another_site_gets_no_socket(portal: Portal, visitor: Visitor, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with opened(portal, Origin=origin, Cookie=f"session={visitor.cookie}"):
            pass
    assert refused.value.response.status_code == 403


async def test_a_cookie_without_an_origin_is_worth_nothing(portal: Portal, visitor: Visitor) -> None:
    async with opened(portal, Cookie=f"session={visitor.cookie}") as client:
        await client.send(type="connection_init")
        assert await client.close_code() == 4401


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE personal_tokens SET revoked_at = now() WHERE account_id = :account",
        "UPDATE memberships SET role = 'viewer' WHERE account_id = :account",
        "UPDATE people SET is_staff = true FROM memberships WHERE person_id = people.id AND account_id = :account",
    ],
    ids=["revoked", "other-role", "other-staff"],
)
async def test_nothing_begins_after_a_revocation(portal: Portal, visitor: Visitor, statement: str) -> None:
    """Not even before the next look at who may stay."""
    async with greeted(portal, visitor) as client:
        await client.subscribe("1", "{ viewer { role } }")
        await client.next("1")
        await change(portal, statement, visitor)
        await client.subscribe("2", 'mutation { createKey(input: {name: "Late"}) { __typename } }')
        assert await client.close_code() == 4403
    async with portal.database.transaction(visitor.actor.account_id) as tx:
        assert await keys.list_keys(tx, visitor.actor.account_id, keys.KeyFilter(), most=1) == []


async def test_a_revoked_token_ends_its_connections(portal: Portal, visitor: Visitor, database: Database) -> None:
    other = await new_visitor(database)
    async with greeted(portal, visitor) as client, greeted(portal, other) as staying:
        await client.subscribe("1", TICKS)
        await client.next("1")
        await change(portal, "UPDATE personal_tokens SET revoked_at = now() WHERE account_id = :account", visitor)
        assert await client.close_code() == 4403
        await staying.send(type="ping")
        assert await staying.receive() == {"type": "pong"}


@pytest.mark.parametrize(
    "end",
    [
        "DELETE FROM sessions WHERE account_id = :account",
        "UPDATE sessions SET seen_at = now() - interval '31 minutes' WHERE account_id = :account",
        "UPDATE sessions SET expires_at = now() WHERE account_id = :account",
        "UPDATE memberships SET role = 'viewer' WHERE account_id = :account",
        "DELETE FROM memberships WHERE account_id = :account",
    ],
)
async def test_an_ended_session_ends_its_connections(portal: Portal, visitor: Visitor, end: str) -> None:
    async with opened(portal, Origin=portal.url, Cookie=f"session={visitor.cookie}") as client:
        await client.send(type="connection_init")
        await client.receive()
        await change(portal, end, visitor)
        assert await client.close_code() == 4403


async def test_a_session_that_acts_in_another_account_ends_its_connections(
    portal: Portal, visitor: Visitor, database: Database
) -> None:
    """Else they would go on to tell of an account that the person may leave meanwhile."""
    there = (await new_visitor(database)).actor.account_id
    async with opened(portal, Origin=portal.url, Cookie=f"session={visitor.cookie}") as client:
        await client.send(type="connection_init")
        await client.receive()
        async with portal.database.transaction() as tx:
            joined = "INSERT INTO memberships (account_id, person_id, role, created_at) VALUES (:a, :p, 'owner', now())"
            await tx.execute(text(joined), {"a": there, "p": visitor.actor.id})
            moved = "UPDATE sessions SET account_id = :a WHERE person_id = :p"
            await tx.execute(text(moved), {"a": there, "p": visitor.actor.id})
        assert await client.close_code() == 4403


async def test_an_account_has_so_many_connections(
    portal: Portal, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.graphql.live_connections.MAX_ACCOUNT", 1)
    async with greeted(portal, visitor), opened(portal) as second:
        await second.send(type="connection_init", payload={"authorization": f"Bearer {visitor.token}"})
        assert await second.close_code() == 1013
    await until(portal.is_quiet)
    async with greeted(portal, visitor):
        pass


@pytest.mark.usefixtures("relaying")
async def test_a_dropped_socket_frees_everything(portal: Portal, visitor: Visitor) -> None:
    await until(portal.is_quiet)
    before = len(asyncio.all_tasks())
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(greeted(portal, visitor)) for _ in range(5)]
        for client in clients:
            for number in range(5):
                await client.subscribe(f"t{number}", TICKS)
                await client.subscribe(f"k{number}", CHANGES)
        await until(lambda: portal.web.hub.sizes()["subscribers"] == 50)
        assert portal.web.hub.sizes() == {"accounts": 1, "subscribers": 50, "pollers": 1, "channels": 1}
        for client in clients:
            client.socket.transport.abort()
        await until(portal.is_quiet)
    await until(lambda: len(asyncio.all_tasks()) <= before)
    assert await subscribed_channels(portal) == 0


async def subscribed_channels(portal: Portal) -> int:
    """As Redis itself says."""
    (shard,) = portal.web.checker.limiter.shards()
    found = await shard.connection.call("PUBSUB", "CHANNELS", "live:*")
    assert isinstance(found, list)
    return len(found)


async def change(portal: Portal, statement: str, visitor: Visitor) -> None:
    async with portal.database.transaction() as tx:
        await tx.execute(text(statement), {"account": visitor.actor.account_id})


@pytest.mark.usefixtures("relaying")
async def test_a_lost_redis_ends_what_may_have_missed_events(portal: Portal, visitor: Visitor) -> None:
    async with greeted(portal, visitor) as client:
        await client.subscribe("1", CHANGES)
        await until(lambda: portal.web.hub.sizes()["channels"] == 1)
        (shard,) = portal.web.checker.limiter.shards()
        await shard.connection.call("CLIENT", "KILL", "TYPE", "pubsub")
        message = await client.receive()
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "INTERRUPTED")
        while (await again(client))["type"] == "error":
            pass
        key_id = await make_key(portal, visitor.actor)
        assert (await client.next("2"))["keyChanged"]["keyId"] == key_id


async def again(client: Client) -> dict[str, Any]:
    """Subscribe once more, and ask something that is answered afterwards: an error comes first, or nothing does."""
    await client.subscribe("2", CHANGES)
    await asyncio.sleep(0.3)
    await client.send(type="ping")
    message = await client.receive()
    if message["type"] == "error":
        await client.receive()
    return message
