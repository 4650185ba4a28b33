"""The request log is the raw events, newest first, whatever the filter, the page size and the cursor."""

from datetime import UTC, datetime, timedelta

import pytest

from portal.core.database import Database
from portal.core.errors import Invalid
from portal.usage import (
    RequestQuery,
    UsageFilter,
    UsageRecord,
    UsageRequest,
    count_requests,
    encode_batch,
    find_request,
    ingest_usage,
    list_requests,
)
from portal.usage.records import occurred_at
from tests.usage.ingest.test_ingest import varied
from tests.usage.sample import new_account, record, request_id

FROM = datetime(2026, 10, 30, 12, tzinfo=UTC)
TO = datetime(2026, 11, 2, 12, tzinfo=UTC)
ODD = timedelta(minutes=7, seconds=3, microseconds=1)
FILTERS = [
    UsageFilter(),
    UsageFilter(key_id="key_1"),
    UsageFilter(outcome="RATE_LIMITED"),
    UsageFilter(resource="GET /v1/2", environment="test"),
    UsageFilter("key_0", "GET /v1/1", "VALID", "live"),
    UsageFilter(key_id="key_none"),
]


@pytest.fixture(scope="module")
async def made() -> tuple[str, list[UsageRecord]]:
    account = new_account()
    return account, varied(account, 2000)


@pytest.fixture(scope="module")
async def account(database: Database, made: tuple[str, list[UsageRecord]]) -> str:
    await ingest_usage(database, encode_batch(made[1]))
    return made[0]


def expected(records: list[UsageRecord], query: RequestQuery) -> list[str]:
    """Ids of the records that the log must show, the newest first."""
    only = query.filter
    ids = [
        one.request_id
        for one in records
        if query.start <= occurred_at(one.request_id) < query.end
        and only.key_id in (None, one.key_id)
        and only.resource in (None, one.resource)
        and only.outcome in (None, one.code)
        and only.environment in (None, one.environment)
    ]
    return sorted(ids, reverse=True)


async def read_all(database: Database, account: str, query: RequestQuery, most: int) -> list[str]:
    """Page by page, as a reader would."""
    found: list[UsageRequest] = []
    async with database.transaction(account) as tx:
        while True:
            after = (found[-1].occurred_at, found[-1].request_id) if found else None
            page = await list_requests(tx, account, query, limit=most, after=after)
            found += page
            if len(page) < most:
                return [one.request_id for one in found]


@pytest.mark.parametrize("only", FILTERS)
@pytest.mark.parametrize("most", [7, 101])
async def test_pages_show_each_event_once_in_order(
    database: Database, account: str, made: tuple[str, list[UsageRecord]], only: UsageFilter, most: int
) -> None:
    query = RequestQuery(FROM + ODD, TO - ODD, only)
    assert await read_all(database, account, query, most) == expected(made[1], query)


@pytest.mark.parametrize("only", FILTERS)
async def test_the_count_is_exact(
    database: Database, account: str, made: tuple[str, list[UsageRecord]], only: UsageFilter
) -> None:
    for start, end in ((FROM + ODD, TO - ODD), (FROM, TO), (FROM + ODD, FROM + 2 * ODD)):
        query = RequestQuery(start, end, only)
        async with database.transaction(account) as tx:
            assert await count_requests(tx, account, query) == len(expected(made[1], query))


async def test_events_of_one_instant_are_paged_by_their_ids(database: Database) -> None:
    account = new_account()
    await ingest_usage(database, encode_batch([record(number, FROM, account_id=account) for number in range(9)]))
    for only in (UsageFilter(), UsageFilter(outcome="VALID")):
        query = RequestQuery(FROM, TO, only)
        ids = [request_id(FROM, number) for number in reversed(range(9))]
        assert await read_all(database, account, query, 2) == ids


async def test_a_resource_that_was_counted_as_other_is_found(database: Database) -> None:
    """Beyond a thousand resources a day the buckets say `other`; here one is even called so."""
    account = new_account()
    named = [
        record(number, FROM + timedelta(hours=number), account_id=account, resource="other") for number in range(9)
    ]
    await ingest_usage(database, encode_batch([*named, record(99, TO, account_id=account, resource="GET /a")]))
    query = RequestQuery(FROM, TO + ODD, UsageFilter(resource="GET /a"))
    assert await read_all(database, account, query, 2) == [request_id(TO, 99)]
    none = RequestQuery(FROM, TO, UsageFilter(resource="GET /b"))
    assert await read_all(database, account, none, 2) == []


async def test_one_by_its_id(database: Database, account: str, made: tuple[str, list[UsageRecord]]) -> None:
    wanted = made[1][7]
    async with database.transaction(account) as tx:
        found = await find_request(tx, account, wanted.request_id)
        assert found is not None
        assert (found.request_id, found.code, found.cost) == (wanted.request_id, wanted.code, wanted.cost)
        assert found.occurred_at == occurred_at(wanted.request_id)
        for text in ("", "req_", "req_unknown", request_id(FROM, 2**60), "req_" + "Z" * 26, "key_" + "0" * 26):
            assert await find_request(tx, account, text) is None


async def test_another_account_finds_nothing(
    database: Database, account: str, made: tuple[str, list[UsageRecord]]
) -> None:
    stranger = new_account()
    for told in (stranger, account):  # even if a caller passed the wrong account, the second wall stands
        async with database.transaction(stranger) as tx:
            assert await find_request(tx, told, made[1][0].request_id) is None
            assert await list_requests(tx, told, RequestQuery(FROM, TO), limit=5) == []
            assert await count_requests(tx, told, RequestQuery(FROM, TO)) == 0


async def test_a_range_that_is_too_long_is_refused(database: Database, account: str) -> None:
    async with database.transaction(account) as tx:
        with pytest.raises(Invalid, match="400 days"):
            await list_requests(tx, account, RequestQuery(FROM - timedelta(days=500), TO), limit=5)
