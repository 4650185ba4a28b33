"""Usage over GraphQL: the account's and a key's, grouped, filtered, labelled, and nobody else's."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from portal import usage
from portal.core.actor import Actor
from portal.core.clock import to_microseconds, utc_now
from portal.core.database import Database
from portal.core.ids import encode_128
from portal.keys import KeySecret
from portal.usage import UsageRecord, encode_batch, ingest_usage
from tests.graphql.conftest import Answer, Ask, MakeKey, codes

TODAY = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
STRETCH = {"from": (TODAY - timedelta(days=2)).isoformat(), "to": (TODAY + timedelta(days=1)).isoformat()}
TOTALS = "totals { calls units allowed denied billable }"
USAGE = f"""
query U($from: DateTime!, $to: DateTime!, $granularity: Granularity! = DAY, $groupBy: UsageGroup, $filter: UsageFilter,
        $timeZone: String! = "UTC") {{
  usage(from: $from, to: $to, granularity: $granularity, groupBy: $groupBy, filter: $filter, timeZone: $timeZone) {{
    from to granularity timeZone freshAt {TOTALS}
    groups {{ key label {TOTALS} }}
    points {{ at totals {{ calls }} groups {{ key totals {{ calls }} }} }}
  }}
}}
"""
OF_KEY = f"""
query K($id: ID!, $from: DateTime!, $to: DateTime!) {{
  key(id: $id) {{
    lastUsedAt lastUsedAddress secrets {{ lastUsedAt lastUsedAddress }}
    usage(from: $from, to: $to, filter: {{ keyId: "key_other" }}) {{ {TOTALS} }}
  }}
}}
"""


async def count(database: Database, actor: Actor, key_id: str, **fields: Any) -> None:
    """One call at today's first minute, unless `fields` say otherwise."""
    at: datetime = fields.pop("at", TODAY + timedelta(seconds=30))
    async with database.transaction() as tx:
        secret = await tx.get(select(KeySecret).where(col(KeySecret.key_id) == key_id))
    given: dict[str, Any] = {"environment": "live", "resource": "GET /a", "code": "VALID", "cost": 1} | fields
    number = to_microseconds(at) << 72 | secrets.randbits(72)
    record = UsageRecord(
        f"req_{encode_128(number)}",
        actor.account_id,
        key_id,
        secret.id,
        given["environment"],
        given["resource"],
        given["code"],
        given["cost"],
        f"{at:%Y-%m}",
        given.get("ip", ""),
    )
    await ingest_usage(database, encode_batch([record]))


async def test_totals_groups_and_points(answer: Answer, database: Database, owner: Actor, make_key: MakeKey) -> None:
    one = (await make_key(owner, name="One"))["key"]["id"]
    two = (await make_key(owner, name="Two"))["key"]["id"]
    await count(database, owner, one, cost=5)
    await count(database, owner, one, at=TODAY - timedelta(days=1))
    await count(database, owner, two, code="RATE_LIMITED")
    shown = (await answer(owner, USAGE, groupBy="KEY", **STRETCH))["usage"]
    assert shown["totals"] == {"calls": 3, "units": 7, "allowed": 2, "denied": 1, "billable": 6}
    assert [(group["key"], group["label"]) for group in shown["groups"]] == [(one, "One"), (two, "Two")]
    assert [point["totals"]["calls"] for point in shown["points"]] == [0, 1, 2]
    assert [len(point["groups"]) for point in shown["points"]] == [0, 1, 2]
    assert (shown["granularity"], shown["timeZone"]) == ("DAY", "UTC")
    assert datetime.fromisoformat(shown["freshAt"]) == TODAY + timedelta(seconds=30)
    assert datetime.fromisoformat(shown["from"]) == TODAY - timedelta(days=2)


async def test_filters_and_other_groups(answer: Answer, database: Database, owner: Actor, make_key: MakeKey) -> None:
    key_id = (await make_key(owner))["key"]["id"]
    await count(database, owner, key_id)
    await count(database, owner, key_id, resource="GET /b", code="QUOTA_EXCEEDED", environment="test")
    for which, calls in (
        ({"resource": "GET /b"}, 1),
        ({"outcome": "VALID"}, 1),
        ({"environment": "TEST"}, 1),
        ({"keyId": key_id}, 2),
        ({"keyId": "key_none"}, 0),
        ({}, 2),
    ):
        assert (await answer(owner, USAGE, filter=which, **STRETCH))["usage"]["totals"]["calls"] == calls
    for group, keys in (
        ("RESOURCE", {"GET /a", "GET /b"}),
        ("OUTCOME", {"VALID", "QUOTA_EXCEEDED"}),
        ("ENVIRONMENT", {"live", "test"}),
    ):
        groups = (await answer(owner, USAGE, groupBy=group, **STRETCH))["usage"]["groups"]
        assert {each["key"] for each in groups} == {each["label"] for each in groups} == keys


async def test_a_keys_own_usage_and_last_use(
    answer: Answer, database: Database, owner: Actor, make_key: MakeKey
) -> None:
    one = (await make_key(owner))["key"]["id"]
    two = (await make_key(owner))["key"]["id"]
    await count(database, owner, one)
    used = (await answer(owner, OF_KEY, id=one, **STRETCH))["key"]
    assert used["usage"]["totals"]["calls"] == 1
    assert datetime.fromisoformat(used["lastUsedAt"]) == TODAY + timedelta(seconds=30)
    assert used["secrets"] == [{"lastUsedAt": used["lastUsedAt"], "lastUsedAddress": None}]
    await count(database, owner, one, at=TODAY + timedelta(seconds=40), ip="203.0.113.7")
    await count(database, owner, one, at=TODAY + timedelta(seconds=50))
    used = (await answer(owner, OF_KEY, id=one, **STRETCH))["key"]
    assert datetime.fromisoformat(used["lastUsedAt"]) == TODAY + timedelta(seconds=50)
    assert (used["lastUsedAddress"], used["secrets"][0]["lastUsedAddress"]) == ("203.0.113.7", "203.0.113.7")
    unused = (await answer(owner, OF_KEY, id=two, **STRETCH))["key"]
    assert (unused["usage"]["totals"]["calls"], unused["lastUsedAt"]) == (0, None)


async def test_used_units_lower_the_quota(answer: Answer, database: Database, owner: Actor, make_key: MakeKey) -> None:
    key_id = (await make_key(owner))["key"]["id"]
    await count(database, owner, key_id, cost=12_000, at=utc_now())
    quota = (await answer(owner, "{ quota { used remaining } }"))["quota"]
    assert quota == {"used": 12_000, "remaining": 0}


async def test_another_account_sees_none_of_it(
    answer: Answer, database: Database, owner: Actor, stranger: Actor, make_key: MakeKey
) -> None:
    key_id = (await make_key(owner))["key"]["id"]
    await count(database, owner, key_id)
    for which in ({}, {"keyId": key_id}):
        shown = (await answer(stranger, USAGE, groupBy="KEY", filter=which, **STRETCH))["usage"]
        assert (shown["totals"]["calls"], shown["groups"]) == (0, [])


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, ["from"]),
        ({"timeZone": "Mars/Olympus"}, ["timeZone"]),
        ({"granularity": "MINUTE"}, ["granularity"]),
        ({"from": "1500-01-01T00:00:00Z"}, ["from"]),
    ],
)
async def test_a_stretch_that_cannot_be_served_is_refused(
    ask: Ask, owner: Actor, fields: dict[str, Any], path: list[str]
) -> None:
    result = await ask(owner, USAGE, **(STRETCH | fields))
    assert codes(result) == ["INVALID"]
    assert (result.errors[0].extensions or {})["path"] == path


async def test_times_need_an_offset_and_any_offset_will_do(ask: Ask, answer: Answer, owner: Actor) -> None:
    assert codes(await ask(owner, USAGE, **(STRETCH | {"from": "2026-01-01T00:00:00"}))) == ["BAD_VARIABLES"]
    stretch = {"from": "2026-01-01T00:00:00+01:00", "to": "2026-01-02T00:00:00+01:00"}
    shown = (await answer(owner, USAGE, timeZone="Europe/Berlin", **stretch))["usage"]
    assert shown["from"] == "2025-12-31T23:00:00Z"
    assert datetime.fromisoformat(shown["to"]) == datetime(2026, 1, 1, 23, tzinfo=UTC)


async def test_more_figures_than_a_page_can_show_are_refused(
    ask: Ask, owner: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = usage.UsageTotals()
    groups = [usage.UsageGroupTotals(f"GET /{number}", none) for number in range(21)]
    points = [usage.UsagePoint(TODAY, none, groups)] * 200

    async def large(*_: Any) -> usage.UsageSeries:
        return usage.UsageSeries(TODAY, TODAY, usage.Granularity.HOUR, "UTC", none, groups, points)

    monkeypatch.setattr(usage, "usage_series", large)
    assert codes(await ask(owner, USAGE, groupBy="RESOURCE", **STRETCH)) == ["INVALID"]
