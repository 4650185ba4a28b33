"""POST /check/settle: the reserved cost is replaced once, in quota and usage."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from sqlalchemy import text

from portal.accounts import create_service_token
from portal.core.actor import SYSTEM, Actor
from portal.core.clock import utc_now
from portal.core.messaging.bus import USAGE_RECORDED, InProcessBus
from portal.metering import parse_event
from portal.usage import IngestBatcher, JournalShipper
from tests.web.check.conftest import MakeKey, Served


@pytest.fixture
async def shipped(served: Served) -> AsyncIterator[None]:
    """Ships and ingests in the background, as the workers do."""
    bus, services, stop = InProcessBus(), served.services, asyncio.Event()
    bus.subscribe(USAGE_RECORDED, IngestBatcher(services.database, services.checker.limiter.raise_used).add)
    shipper = JournalShipper(services.settings.data / "journal", bus, 1000)
    running = asyncio.create_task(shipper.run(stop))
    yield
    stop.set()
    await running


async def settle(served: Served, request_id: object, cost: int) -> tuple[int, dict[str, object]]:
    response = await served.http.post("/check/settle", json={"requestId": request_id, "cost": cost})
    return response.status_code, response.json()


async def units(served: Served, account_id: str) -> list[int]:
    """What raw events, each size of bucket and the period say."""
    async with served.services.database.transaction() as tx:
        found = []
        for column, table in (
            ("cost", "usage_events"),
            ("units", "usage_minutes"),
            ("units", "usage_quarters"),
            ("units", "usage_days"),
            ("used", "usage_periods"),
        ):
            statement = text(f"SELECT coalesce(sum({column}), 0)::int FROM {table} WHERE account_id = :account")
            found.append(await tx.get(statement, {"account": account_id}, returns=int))
        return found


@pytest.mark.usefixtures("shipped")
async def test_settling_replaces_the_cost_everywhere_once(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    checked = (await served.http.post("/check", json={"key": made.secret, "cost": 5})).json()
    assert await settle(served, checked["requestId"], 2) == (
        200,
        {"requestId": checked["requestId"], "cost": 2, "settled": True},
    )
    assert await units(served, owner.account_id) == [2] * 5
    looked = (await served.http.post("/check", json={"key": made.secret, "cost": 0})).json()
    assert looked["quota"]["used"] == 2
    assert looked["limits"][0]["limit"] - looked["limits"][0]["remaining"] in {0, 5}
    assert (await settle(served, checked["requestId"], 2))[0] == 200
    status, document = await settle(served, checked["requestId"], 3)
    assert (status, "at 2" in str(document["detail"])) == (409, True)
    assert await units(served, owner.account_id) == [2] * 5


@pytest.mark.usefixtures("shipped")
async def test_external_usage_after_a_settlement_counts_in_the_quota_once(
    served: Served, make_key: MakeKey, owner: Actor
) -> None:
    made = await make_key(owner)
    checked = (await served.http.post("/check", json={"key": made.secret, "cost": 5})).json()
    assert (await settle(served, checked["requestId"], 9))[0] == 200
    event = {"specversion": "1.0", "id": "one", "source": "/render", "type": "rendered", "subject": made.key.id}
    body = msgspec.json.encode(event | {"time": utc_now().isoformat(), "data": {"units": 3}})
    async with served.services.database.transaction() as tx:
        service = await create_service_token(tx, SYSTEM, "product")
    await served.services.meter.count(parse_event(body), service.row.id)
    assert await units(served, owner.account_id) == [12] * 5
    looked = (await served.http.post("/check", json={"key": made.secret, "cost": 0})).json()
    assert looked["quota"]["used"] == 12


@pytest.mark.usefixtures("shipped")
async def test_only_an_admitted_check_can_be_settled(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    denied = (await served.http.post("/check", json={"key": made.secret, "scopes": ["x"]})).json()
    for request_id in (denied["requestId"], "req_" + "0" * 26, "nonsense"):
        assert (await settle(served, request_id, 1))[0] == 404


async def test_a_settlement_that_is_no_settlement(served: Served) -> None:
    assert (await served.http.post("/check/settle", json={"requestId": "a"})).status_code == 422
    assert (await served.http.post("/check/settle", json={"requestId": "a", "cost": -1})).status_code == 422
