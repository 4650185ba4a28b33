"""POST /usage/events: each event counts once, whatever is repeated; what is refused is told by its position."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.applications import Starlette

from portal import keys
from portal.accounts import create_service_token
from portal.core.actor import SYSTEM, Actor
from portal.core.clock import utc_now
from portal.core.database import Database
from portal.core.ids import new_id
from portal.limits import Limiter
from portal.metering import Meter, parse_event
from portal.usage import Retention, purge_external_ids
from portal.usage.records import occurred_at
from tests.usage.truth import buckets_off, raw_totals

ONE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
Send = Callable[..., Awaitable[Response]]


@pytest.fixture
async def client(app: Starlette, database: Database) -> AsyncIterator[AsyncClient]:
    async with database.transaction() as tx:
        token = (await create_service_token(tx, SYSTEM, "product")).token
    headers = {"Authorization": f"Bearer {token}"}
    async with AsyncClient(transport=ASGITransport(app), base_url="http://portal", headers=headers) as client:
        yield client


@pytest.fixture
def send(client: AsyncClient) -> Send:
    async def send(body: Any, media_type: str = "") -> Response:
        kind = media_type or (BATCH if isinstance(body, list) else ONE)
        return await client.post("/usage/events", json=body, headers={"Content-Type": kind})

    return send


@pytest.fixture
async def key(database: Database, owner: Actor) -> keys.CreatedKey:
    async with database.transaction(owner.account_id) as tx:
        return await keys.create_key(tx, owner, keys.NewKey("metered"))


def event(subject: str, number: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"job-{number}",
        "source": "/render/eu",
        "type": "com.example.rendered",
        "subject": subject,
        "time": utc_now().isoformat(),
        "data": {"resource": "render", "cost": 3},
        **changes,
    }


async def open_at(database: Database, account_id: str, at: datetime) -> None:
    """Nothing is counted for a month before the one in which the account was opened."""
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE accounts SET created_at = :at WHERE id = :id"), {"id": account_id, "at": at})


async def used(database: Database, account_id: str) -> int:
    statement = text("SELECT coalesce(sum(used), 0)::int FROM usage_periods WHERE account_id = :account")
    async with database.transaction() as tx:
        return await tx.get(statement, {"account": account_id}, returns=int)


@pytest.mark.fast
async def test_an_event_counts_to_usage_quota_and_period_once(
    send: Send, client: AsyncClient, database: Database, key: keys.CreatedKey, owner: Actor
) -> None:
    one = event(key.key.id)
    first, second = await send(one), await send(one)
    assert (first.status_code, first.json()["status"], first.json()["id"]) == (200, "counted", "job-0")
    assert (second.status_code, second.json()["status"]) == (200, "duplicate")
    assert first.json()["requestId"] == second.json()["requestId"]
    assert await raw_totals(database, owner.account_id) == (1, 3)
    assert set((await buckets_off(database, owner.account_id)).values()) == {0}
    assert await used(database, owner.account_id) == 3
    looked = await client.post("/check", json={"key": key.secret, "cost": 0})
    assert looked.json()["quota"]["used"] == 3
    row = text(
        "SELECT key_id, resource, code, environment, cost FROM usage_events WHERE account_id = :a AND request_id = :r"
    )
    async with database.transaction() as tx:
        found = (await tx.execute(row, {"a": owner.account_id, "r": first.json()["requestId"]})).one()
    assert tuple(found) == (key.key.id, "render", "VALID", "live", 3)


async def test_a_counter_that_redis_has_is_raised(
    send: Send, client: AsyncClient, key: keys.CreatedKey, owner: Actor
) -> None:
    await client.post("/check", json={"key": key.secret, "cost": 0})
    assert (await send(event(owner.account_id))).status_code == 200
    looked = await client.post("/check", json={"key": key.secret, "cost": 0})
    assert looked.json()["quota"]["used"] == 3


async def test_it_is_never_denied(send: Send, client: AsyncClient, database: Database, key: keys.CreatedKey) -> None:
    much = event(key.key.id, data={"units": 1_000_000_000})
    assert (await send([much, much | {"id": "more"}])).status_code == 200
    denied = (await client.post("/check", json={"key": key.secret})).json()
    assert denied["code"] == "QUOTA_EXCEEDED"
    assert (await send(event(key.key.id, 5))).json()["status"] == "counted"
    assert await used(database, key.key.account_id) == 2_000_000_003


async def test_a_batch_reports_each_by_position_and_counts_the_valid_events(
    send: Send, client: AsyncClient, database: Database, key: keys.CreatedKey, owner: Actor, stranger: Actor
) -> None:
    good = event(key.key.id, 1)
    batch = [
        good,
        event("key_" + "0" * 26, 2),
        event(key.key.id, 3, data={"cost": "3"}),
        good,
        event(stranger.account_id, 1),
        event(key.key.id, 1, data={"cost": 4}),
        "nonsense",
    ]
    answer = await send(batch)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["title"] == "Not counted"
    assert "4 of 7 events were not counted" in problem["detail"]
    assert [(one["position"], one["code"]) for one in problem["errors"]] == [
        (1, "unknown_subject"),
        (2, "invalid"),
        (5, "conflict"),
        (6, "invalid"),
    ]
    assert "$.data.cost" in problem["errors"][1]["detail"]
    assert [one["status"] for one in problem["results"]] == [
        *("counted", "refused", "refused", "duplicate", "counted", "refused", "refused")
    ]
    metrics = (await client.get("/metrics")).text
    assert 'portal_external_events_total{outcome="unknown_subject"}' in metrics
    assert await raw_totals(database, owner.account_id) == (1, 3)
    assert await raw_totals(database, stranger.account_id) == (1, 3)
    again = await send([good, event(stranger.account_id, 1, time=batch[4]["time"])])  # type: ignore[index]
    assert [one["status"] for one in again.json()["results"]] == ["duplicate", "duplicate"]


async def test_the_same_batch_from_everywhere_at_once_counts_once(send: Send, database: Database, owner: Actor) -> None:
    batch = [event(owner.account_id, number) for number in range(300)]
    answers = await asyncio.gather(*(send(batch[shift:] + batch[:shift]) for shift in range(0, 240, 30)))
    assert {answer.status_code for answer in answers} == {200}
    statuses = [one["status"] for answer in answers for one in answer.json()["results"]]
    assert (statuses.count("counted"), statuses.count("duplicate")) == (300, 7 * 300)
    assert await raw_totals(database, owner.account_id) == (300, 900)
    assert set((await buckets_off(database, owner.account_id)).values()) == {0}
    assert await used(database, owner.account_id) == 900


async def test_its_time_decides_the_period(send: Send, database: Database, owner: Actor) -> None:
    """In the account's own zone."""
    async with database.transaction() as tx:
        await tx.execute(
            text("UPDATE accounts SET time_zone = 'Pacific/Auckland' WHERE id = :id"), {"id": owner.account_id}
        )
    last_night = utc_now().replace(day=1, hour=0, minute=30) - timedelta(hours=1)
    await open_at(database, owner.account_id, last_night)
    assert (await send(event(owner.account_id, time=last_night.isoformat()))).status_code == 200
    async with database.transaction() as tx:
        period = text("SELECT period FROM usage_periods WHERE account_id = :account")
        assert await tx.list(period, {"account": owner.account_id}) == [f"{utc_now():%Y-%m}"]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"specversion": "0.3"}, 422, "invalid"),
        ({"id": ""}, 422, "invalid"),
        ({"id": "a\0b"}, 422, "invalid"),
        ({"id": "😀" * 200}, 422, "invalid"),
        ({"source": "a b"}, 422, "invalid"),
        ({"subject": None}, 422, "invalid"),
        ({"subject": "a\0b"}, 422, "invalid"),
        ({"subject": "acct_nobody"}, 404, "unknown_subject"),
        ({"time": "2026-11-20T12:00:00"}, 422, "invalid"),
        ({"time": "0001-01-01T00:00:00+14:00"}, 422, "too_late"),
        ({"time": "9999-12-31T23:59:59-14:00"}, 422, "in_future"),
        ({"data": {"cost": 0}}, 422, "invalid"),
        ({"data": {"cost": -1}}, 422, "invalid"),
        ({"data": {"cost": 1.5}}, 422, "invalid"),
        ({"data": {"cost": 1, "units": 1}}, 422, "invalid"),
        ({"data": {"cost": 1_000_000_001}}, 422, "invalid"),
        ({"data": {"units": 5.5}}, 422, "invalid"),
        ({"data": {"units": 1e300}}, 422, "invalid"),
        ({"data": {"units": "5"}}, 422, "invalid"),
        ({"data": {"units": True}}, 422, "invalid"),
        ({"data": [5]}, 422, "invalid"),
        ({"data": {"resource": "a\nb"}}, 422, "invalid"),
        ({"data": {"environment": "staging"}}, 422, "invalid"),
        ({"data_base64": "aGk="}, 422, "invalid"),
        ({"datacontenttype": "text/xml"}, 422, "invalid"),
    ],
)
async def test_what_cannot_be_counted_says_why(
    send: Send, database: Database, owner: Actor, changes: dict[str, Any], status: int, code: str
) -> None:
    answer = await send(event(owner.account_id) | changes)
    assert (answer.status_code, answer.json().get("code")) == (status, code)
    assert answer.json()["detail"].endswith(".")
    assert await raw_totals(database, owner.account_id) == (0, 0)


async def test_what_is_optional_may_be_absent_or_more(send: Send, database: Database, owner: Actor) -> None:
    bare = event(owner.account_id, traceparent="00-1", datacontenttype="application/json; charset=utf-8")
    del bare["data"]
    assert (await send(bare)).status_code == 200
    test = event(owner.account_id, 1, data={"units": 5, "environment": "test"})
    assert (await send(test)).status_code == 200
    assert await raw_totals(database, owner.account_id) == (2, 6)
    assert await used(database, owner.account_id) == 1


async def test_a_key_has_one_environment(send: Send, key: keys.CreatedKey) -> None:
    answer = await send(event(key.key.id, data={"environment": "test"}))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


@pytest.mark.parametrize("units", ["5", "5.0", "5e0", "0.5e1", "50e-1"])
async def test_a_whole_number_counts_however_it_is_written(
    client: AsyncClient, database: Database, owner: Actor, units: str
) -> None:
    body = msgspec.json.encode(event(owner.account_id, data={"units": 0})).replace(
        b'"units":0', f'"units":{units}'.encode()
    )
    assert (await client.post("/usage/events", content=body, headers={"Content-Type": ONE})).status_code == 200
    assert await raw_totals(database, owner.account_id) == (1, 5)


async def test_data_may_hold_more_than_is_read(send: Send, database: Database, owner: Actor) -> None:
    more = {"units": 5, "job": {"frames": [1, 2]}, "region": "eu", "price": 1.5}
    assert (await send(event(owner.account_id, data=more))).status_code == 200
    assert (await send(event(owner.account_id, 1, data=None))).status_code == 200
    assert await raw_totals(database, owner.account_id) == (2, 6)


async def test_without_a_time_it_happened_when_it_came(send: Send, database: Database, owner: Actor) -> None:
    timeless = event(owner.account_id)
    del timeless["time"]
    before = utc_now()
    first = (await send(timeless)).json()
    again = (await send(timeless)).json()
    in_batch = (await send([timeless, timeless])).json()["results"]
    assert (first["status"], again["status"], *(result["status"] for result in in_batch)) == (
        *("counted", "duplicate"),
        *("duplicate", "duplicate"),
    )
    assert {first["requestId"], again["requestId"], *(result["requestId"] for result in in_batch)} == {
        first["requestId"]
    }
    other = await send(timeless | {"data": {"units": 4}})
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    assert before - timedelta(seconds=5) < occurred_at(first["requestId"]) < utc_now() + timedelta(seconds=5)
    assert await raw_totals(database, owner.account_id) == (1, 3)


def binary(subject: str, **changes: str) -> dict[str, str]:
    """Return an event's attributes as headers."""
    attributes = {key: str(value) for key, value in event(subject).items() if key != "data"} | changes
    return {f"ce-{name}": value for name, value in attributes.items()} | {"Content-Type": "application/json"}


async def test_binary_mode_counts_like_structured(
    client: AsyncClient, send: Send, database: Database, owner: Actor
) -> None:
    headers = binary(owner.account_id, id="j%C3%B6b%201", source='"/render/eu"')
    answer = await client.post("/usage/events", content=b'{"resource":"render","units":3.0}', headers=headers)
    assert (answer.status_code, answer.json()["status"], answer.json()["id"]) == (200, "counted", "j\u00f6b 1")
    same = event(owner.account_id, id="j\u00f6b 1", time=headers["ce-time"])
    assert (await send(same)).json() == answer.json() | {"status": "duplicate"}
    bare = {name: value for name, value in binary(owner.account_id, id="2").items() if name != "Content-Type"}
    assert (await client.post("/usage/events", headers=bare)).json()["status"] == "counted"
    assert await raw_totals(database, owner.account_id) == (2, 4)


@pytest.mark.parametrize(
    ("changes", "body", "status"),
    [
        ({"ce-id": ""}, b"{}", 422),
        ({"ce-specversion": "0.3"}, b"{}", 422),
        ({"ce-subject": "acct_nobody"}, b"{}", 404),
        ({"ce-data_base64": "aGk="}, b"", 422),
        ({"ce-data": "x"}, b"", 422),
        ({"ce-time": "yesterday"}, b"{}", 422),
        ({}, b"[1]", 422),
        ({}, b"{", 400),
        ({"Content-Type": "text/xml"}, b"<a/>", 415),
        ({"Content-Type": "application/json; charset=iso-8859-1"}, b"{}", 415),
        ({"Content-Type": "application/vnd.example+json"}, b"{}", 200),
    ],
)
async def test_binary_mode_refuses_with_a_reason(
    client: AsyncClient, owner: Actor, changes: dict[str, str], body: bytes, status: int
) -> None:
    answer = await client.post("/usage/events", content=body, headers=binary(owner.account_id) | changes)
    assert answer.status_code == status, answer.text


async def test_an_attribute_that_comes_twice_is_refused(client: AsyncClient, owner: Actor) -> None:
    headers = [*binary(owner.account_id).items(), ("ce-subject", "acct_other")]
    answer = await client.post("/usage/events", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (422, "Expected one header `ce-subject`.")


@pytest.mark.parametrize(("charset", "status"), [("utf-8", 200), ("UTF8", 200), ("iso-8859-1", 415), ("utf-16", 415)])
async def test_only_utf_8_is_read(send: Send, owner: Actor, charset: str, status: int) -> None:
    assert (await send(event(owner.account_id), f"{ONE}; charset={charset}")).status_code == status


async def test_what_was_used_before_the_account_was_opened_is_refused(
    send: Send, database: Database, owner: Actor
) -> None:
    """Nobody owes for it."""
    opened = utc_now().replace(microsecond=0) - timedelta(minutes=50)
    await open_at(database, owner.account_id, opened)
    counted = event(owner.account_id, 1, time=opened.isoformat())
    assert (await send(counted)).status_code == 200
    for earlier in (timedelta(microseconds=1), timedelta(minutes=1), timedelta(days=3), timedelta(days=40)):
        answer = await send(event(owner.account_id, 2, time=(opened - earlier).isoformat()))
        assert (answer.status_code, answer.json()["code"]) == (422, "too_late")
    assert (
        f"since {opened:%Y-%m-%dT%H:%M:%SZ}, when the account was opened"
        in (await send(event(owner.account_id, 2, time=(opened - timedelta(hours=1)).isoformat()))).json()["detail"]
    )
    await open_at(database, owner.account_id, opened + timedelta(minutes=1))
    assert (await send(counted)).json()["status"] == "duplicate"


async def test_the_same_event_of_two_accounts_has_two_request_ids(
    send: Send, client: AsyncClient, database: Database, owner: Actor, stranger: Actor
) -> None:
    at = utc_now().isoformat()
    ids = [(await send(event(actor.account_id, time=at))).json()["requestId"] for actor in (owner, stranger)]
    assert ids[0] != ids[1]
    answer = await client.post("/check/settle", json={"requestId": ids[0], "cost": 1})
    assert answer.status_code == 200
    assert await raw_totals(database, owner.account_id) == (1, 1)
    assert await raw_totals(database, stranger.account_id) == (1, 3)
    assert (await send(event(owner.account_id, time=at))).json()["status"] == "duplicate"


async def test_a_retry_that_comes_too_late_still_learns_that_it_was_counted(
    database: Database, app: Starlette, owner: Actor
) -> None:
    meter: Meter = app.state.services.meter
    old = (utc_now() - timedelta(days=20)).isoformat()
    await open_at(database, owner.account_id, utc_now() - timedelta(days=21))
    asked = [parse_event(msgspec.json.encode(event(owner.account_id, number, time=old)))[0] for number in (1, 2)]
    generous = Meter(database, meter.limiter, Retention(), 30)
    strict = Meter(database, meter.limiter, Retention(), 10)
    counted = await generous.count(asked[:1], "svc_1")
    assert [getattr(one, "status", None) for one in counted] == ["counted"]
    results = await strict.count(asked, "svc_1")
    assert [getattr(one, "status", "") or getattr(one, "code", "") for one in results] == ["duplicate", "too_late"]


async def test_ids_are_forgotten_with_the_raw_events(send: Send, database: Database, owner: Actor) -> None:
    await send(event(owner.account_id))
    count = text("SELECT count(*) FROM external_events WHERE account_id = :account")
    for now, left in ((utc_now(), 1), (datetime(2200, 1, 1, tzinfo=UTC), 0)):
        await purge_external_ids(database, Retention(), now)
        async with database.transaction() as tx:
            assert await tx.find(count, {"account": owner.account_id}) == left


async def test_without_redis_it_is_counted_all_the_same(database: Database, owner: Actor) -> None:
    limiter = Limiter(["redis://127.0.0.1:9/0"], 100)
    meter = Meter(database, limiter, Retention(), 30)
    [result] = await meter.count(parse_event(msgspec.json.encode(event(owner.account_id))), "svc_1")
    await limiter.close()
    assert getattr(result, "status", None) == "counted"
    assert await used(database, owner.account_id) == 3


async def test_who_may_not_and_what_is_no_event(client: AsyncClient, send: Send, owner: Actor) -> None:
    one = event(owner.account_id)
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer svc_nobody"}, {"Authorization": "Basic x"}):
        answer = await client.post("/usage/events", json=one, headers={"Content-Type": ONE, **headers})
        assert (answer.status_code, answer.json()["status"]) == (401, 401)
    assert (await client.get("/usage/events")).status_code == 405
    assert (await send(one, "application/json")).status_code == 415
    assert (await send([one], ONE)).status_code == 422
    assert (await send(one, BATCH)).status_code == 422
    assert (await send([])).status_code == 422
    assert (await send([one] * 1001)).status_code == 422
    kind = {"Content-Type": BATCH}
    assert (await client.post("/usage/events", content=b"[{", headers=kind)).status_code == 400
    assert (await client.post("/usage/events", content=b'["\\ud800"]', headers=kind)).status_code in (400, 422)
    assert (await client.post("/usage/events", content=b" " * 1_048_577, headers=kind)).status_code == 413
    assert (await client.post("/usage/events", content=b"[" * 100_000, headers=kind)).status_code == 400


async def test_a_database_without_a_free_connection_is_reported_as_busy(
    send: Send, app: Starlette, key: keys.CreatedKey
) -> None:
    assert (await send(event(key.key.id, 1))).status_code == 200
    async with AsyncExitStack() as held:
        with suppress(PoolTimeout):
            while True:
                await held.enter_async_context(app.state.services.database.engine.connect())
        answer = await send(event(key.key.id, 2))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert (await send(event(key.key.id, 2))).json()["status"] == "counted"


async def test_another_account_does_not_see_its_ids(send: Send, database: Database, owner: Actor) -> None:
    await send(event(owner.account_id))
    count = text("SELECT count(*) FROM external_events")
    for account, seen in ((owner.account_id, 1), (new_id("acct"), 0)):
        async with database.transaction(account) as tx:
            assert await tx.find(count) == seen
