"""Every statement that reads history looks only at the months of its range: EXPLAIN says so."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import TextClause, text

from portal.core.database import Database
from portal.usage import ExportQuery, ExportRows, Granularity, encode_batch, ingest_usage
from portal.usage.export import store as export_store
from portal.usage.history import store
from portal.usage.history.bucket_ranges import plan_buckets
from portal.usage.history.store import EventQuery
from portal.usage.rules import parse_zone, step_starts
from tests.usage.ingest.test_ingest import varied
from tests.usage.sample import new_account

Asked = tuple[TextClause, dict[str, Any]]
FROM, TO = datetime(2026, 10, 2, 3, 15, tzinfo=UTC), datetime(2026, 10, 30, 21, 45, tzinfo=UTC)
OCTOBER = {"2026_10"}
ACCOUNT = new_account()
ONLY = {"key_id": "key_1", "resource": "GET /v1/1", "outcome": "VALID", "environment": "live"}
_PARTITION = re.compile(r'"Relation Name": "usage_[a-z]+_(\d{4}_\d{2})"')


@pytest.fixture(scope="module", autouse=True)
async def events(database: Database) -> None:
    """Around the change of two months, so that partitions on both sides exist and hold something."""
    await ingest_usage(database, encode_batch(varied(ACCOUNT, 500)))


def cells(granularity: Granularity, zone: str, part: str | None, only: dict[str, str]) -> Asked:
    start, end = (FROM, TO) if granularity is not Granularity.MINUTE else (FROM, FROM + timedelta(hours=20))
    starts = step_starts(start, end, granularity, parse_zone(zone))
    return store.cells_statement(ACCOUNT, store.CellQuery(plan_buckets(starts, end, granularity), part, only, 20))


def events_of(**changes: Any) -> EventQuery:
    known: dict[str, Any] = {"start": FROM, "end": TO, "filters": {}, "limit": 26}
    return EventQuery(**(known | changes))


def statements() -> Iterator[tuple[str, Asked]]:
    for granularity in Granularity:
        for zone in ("UTC", "Europe/Berlin", "Asia/Kathmandu"):
            for part, only in ((None, {}), ("resource", {}), ("key_id", ONLY)):
                yield f"cells_statement {granularity} {zone} {part}", cells(granularity, zone, part, only)
    variants: dict[str, dict[str, Any]] = {"all": {}, "filtered": {"filters": ONLY}, "after": {"after": (TO, "req_0")}}
    for name, changes in variants.items():
        query = events_of(**changes)
        yield f"page_statement {name}", store.page_statement(ACCOUNT, query)
        yield (
            f"page_of_quarters_statement {name}",
            store.page_of_quarters_statement(ACCOUNT, query, [FROM, FROM + timedelta(hours=1)]),
        )
        yield f"quarters_statement {name}", store.quarters_statement(ACCOUNT, query)
        yield f"count_statement {name}", store.count_statement(ACCOUNT, query)
    yield "find_statement", store.find_statement(ACCOUNT, FROM, "req_0")
    for rows in ExportRows:
        yield f"export_statement {rows}", export_store.export_statement(ACCOUNT, ExportQuery(FROM, TO, rows))
        yield f"export count_statement {rows}", export_store.count_statement(ACCOUNT, ExportQuery(FROM, TO, rows))


STATEMENTS = dict(statements())


async def explain(database: Database, asked: Asked) -> str:
    """The plan as the application's role gets it."""
    statement, values = asked
    explained = text(f"EXPLAIN (FORMAT JSON) {statement.text}").bindparams(*statement._bindparams.values())
    async with database.transaction(ACCOUNT) as tx:
        for scan in ("seqscan", "bitmapscan"):  # the tables of a test are too small for an index
            await tx.execute(text(f"SET LOCAL enable_{scan} = off"))
        return str((await tx.execute(explained, values)).scalar_one()).replace("'", '"')


@pytest.mark.parametrize("name", STATEMENTS)
async def test_only_the_months_of_the_range_are_scanned(database: Database, name: str) -> None:
    plan = await explain(database, STATEMENTS[name])
    assert set(_PARTITION.findall(plan)) == OCTOBER
    assert '"Node Type": "Seq Scan"' not in plan
    assert '"Index Cond"' in plan


@pytest.mark.parametrize("name", [name for name in STATEMENTS if name.startswith("cells_statement")])
async def test_history_is_read_from_the_indexes_alone(database: Database, name: str) -> None:
    plan = await explain(database, STATEMENTS[name])
    assert set(re.findall(r'"Node Type": "([A-Za-z ]*Index[A-Za-z ]*)"', plan)) == {"Index Only Scan"}


async def test_the_freshness_stamp_reads_no_partition(database: Database) -> None:
    plan = await explain(database, (store._NEWEST, {"account": ACCOUNT}))
    assert not _PARTITION.findall(plan)
    assert "secret_uses" in plan


@pytest.mark.parametrize("module", [store, export_store])
def test_no_statement_is_left_out(module: ModuleType) -> None:
    def is_one(name: str, value: Callable[..., Any]) -> bool:
        return name.endswith("_statement") and not name.startswith("_") and value.__module__ == module.__name__

    made = {name for name, value in vars(module).items() if callable(value) and is_one(name, value)}
    assert made
    assert made <= {word for name in STATEMENTS for word in name.split()}
