"""An export holds every row once, in each format, and reads no more at once than it must."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest

from portal.core.database import Database
from portal.core.errors import Invalid
from portal.usage import (
    ExportFormat,
    ExportQuery,
    ExportRows,
    UsageFilter,
    encode_batch,
    estimate_rows,
    export_usage,
    ingest_usage,
)
from portal.usage.export import ExportChunk
from portal.usage.records import occurred_at
from tests.usage.ingest.test_ingest import varied
from tests.usage.sample import new_account, record

FROM = datetime(2026, 10, 30, 12, tzinfo=UTC)
TO = datetime(2026, 11, 2, 12, tzinfo=UTC)
COUNT = 5000


@pytest.fixture(scope="module")
async def account(database: Database) -> str:
    account = new_account()
    await ingest_usage(database, encode_batch(varied(account, COUNT)))
    return account


async def pieces_of(database: Database, account: str, query: ExportQuery, form: ExportFormat) -> list[ExportChunk]:
    async with database.transaction(account) as tx:
        return [piece async for piece in export_usage(tx, account, query, form)]


async def file_of(database: Database, account: str, query: ExportQuery, form: ExportFormat) -> bytes:
    return b"".join(piece.data for piece in await pieces_of(database, account, query, form))


def rows_of(form: ExportFormat, data: bytes) -> list[dict[str, Any]]:
    """As a reader of that format sees them, all values as texts."""

    def told() -> Iterator[dict[str, Any]]:
        if form in {ExportFormat.CSV, ExportFormat.CSV_EXCEL}:
            encoding = "utf-8" if form is ExportFormat.CSV else "utf-8-sig"
            yield from csv.DictReader(io.StringIO(data.decode(encoding), newline=""))
        elif form is ExportFormat.JSONL:
            yield from map(json.loads, data.splitlines())
        else:
            yield from pq.read_table(io.BytesIO(data)).to_pylist()

    return [{name: _text(value) for name, value in row.items()} for row in told()]


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return "" if value is None else str(value)


@pytest.mark.parametrize("form", ExportFormat)
async def test_events_are_the_events(database: Database, account: str, form: ExportFormat) -> None:
    rows = rows_of(form, await file_of(database, account, ExportQuery(FROM, TO), form))
    expected = sorted(varied(account, COUNT), key=lambda one: one.request_id)
    assert [(row["request_id"], row["outcome"], row["cost"], row["key_id"]) for row in rows] == [
        (one.request_id, one.code, str(one.cost), one.key_id) for one in expected
    ]
    assert [datetime.fromisoformat(row["occurred_at"]) for row in rows] == [
        occurred_at(one.request_id) for one in expected
    ]
    assert {row["settled_at"] for row in rows} == {""}
    assert "account_id" not in rows[0]


@pytest.mark.parametrize("form", ExportFormat)
@pytest.mark.parametrize("kind", [kind for kind in ExportRows if kind is not ExportRows.EVENTS])
async def test_buckets_add_up_to_the_events(
    database: Database, account: str, form: ExportFormat, kind: ExportRows
) -> None:
    query = ExportQuery(FROM - timedelta(days=1), TO, kind)
    rows = rows_of(form, await file_of(database, account, query, form))
    assert sum(int(row["calls"]) for row in rows) == COUNT
    assert [row["bucket_at"] for row in rows] == sorted(row["bucket_at"] for row in rows)
    async with database.transaction(account) as tx:
        assert await estimate_rows(tx, account, query) == len(rows)


@pytest.mark.parametrize("form", ExportFormat)
async def test_a_filter_keeps_its_rows_alone(database: Database, account: str, form: ExportFormat) -> None:
    only = UsageFilter("key_1", "GET /v1/1", "RATE_LIMITED", "test")
    rows = rows_of(form, await file_of(database, account, ExportQuery(FROM, TO, filter=only), form))
    assert 0 < len(rows) < COUNT
    kept = {(row["key_id"], row["resource"], row["outcome"], row["environment"]) for row in rows}
    assert kept == {("key_1", "GET /v1/1", "RATE_LIMITED", "test")}


@pytest.mark.parametrize("form", ExportFormat)
async def test_nothing_is_an_empty_file_of_its_kind(database: Database, form: ExportFormat) -> None:
    data = await file_of(database, new_account(), ExportQuery(FROM, TO), form)
    assert rows_of(form, data) == []
    starts = {"csv": b"occurred_at,", "csv-excel": b"\xef\xbb\xbfoccurred_at,", "jsonl": b"", "parquet": b"PAR1"}
    assert data.startswith(starts[form])


async def test_the_estimate_is_the_count_of_whole_quarters(database: Database, account: str) -> None:
    async with database.transaction(account) as tx:
        assert await estimate_rows(tx, account, ExportQuery(FROM, TO)) == COUNT
        assert await estimate_rows(tx, account, ExportQuery(FROM, TO, filter=UsageFilter(key_id="key_x"))) == 0


async def test_it_comes_in_chunks_that_report_their_progress(database: Database, account: str) -> None:
    pieces = await pieces_of(database, account, ExportQuery(FROM, TO), ExportFormat.CSV)
    assert [piece.rows for piece in pieces] == [0, 2000, 4000, 5000, 5000]


async def test_leaving_early_frees_the_cursor(database: Database, account: str) -> None:
    async with database.transaction(account) as tx:
        async with aclosing(export_usage(tx, account, ExportQuery(FROM, TO), ExportFormat.JSONL)) as pieces:
            await anext(pieces)
            await anext(pieces)
        assert await estimate_rows(tx, account, ExportQuery(FROM, TO)) == COUNT


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1"])
async def test_a_spreadsheet_takes_no_text_for_a_formula(database: Database, text: str) -> None:
    account = new_account()
    await ingest_usage(database, encode_batch([record(0, FROM, account_id=account, resource=text)]))
    query = ExportQuery(FROM, TO)
    (shown,) = rows_of(ExportFormat.CSV, await file_of(database, account, query, ExportFormat.CSV))
    assert shown["resource"] == "'" + text
    for form in (ExportFormat.JSONL, ExportFormat.PARQUET):
        (exact,) = rows_of(form, await file_of(database, account, query, form))
        assert exact["resource"] == text


async def test_texts_of_any_kind_survive(database: Database) -> None:
    account, text = new_account(), 'GET /a,"b"\n; ñ 🦉'
    await ingest_usage(database, encode_batch([record(0, FROM, account_id=account, resource=text)]))
    for form in ExportFormat:
        (row,) = rows_of(form, await file_of(database, account, ExportQuery(FROM, TO), form))
        assert row["resource"] == text


async def test_another_account_exports_nothing_of_it(database: Database, account: str) -> None:
    async with database.transaction(new_account()) as tx:
        pieces = [piece async for piece in export_usage(tx, account, ExportQuery(FROM, TO), ExportFormat.JSONL)]
        assert sum(len(piece.data) for piece in pieces) == 0


async def test_a_range_that_is_none_is_refused(database: Database, account: str) -> None:
    async with database.transaction(account) as tx:
        with pytest.raises(Invalid):
            await anext(export_usage(tx, account, ExportQuery(TO, FROM), ExportFormat.CSV))
