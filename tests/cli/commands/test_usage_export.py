"""`portal usage export`: a whole file or none, and what it says."""

import json
from pathlib import Path

import asyncpg
import pyarrow.parquet as pq

from tests.cli.demo_portal import DemoPortal, run_portal


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_file_holds_every_event(demo_portal: DemoPortal, sql: asyncpg.Connection, tmp_path: Path) -> None:
    account_id = demo_portal.facts["logins"]["developer"]["account_id"]
    end = await sql.fetchval("SELECT to_char(now() - interval '1 day', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
    statement = "SELECT count(*) FROM usage_events WHERE account_id = $1 AND occurred_at < $2::text::timestamptz"
    expected = await sql.fetchval(statement, account_id, end)
    base = ("usage", "export", "--data", str(demo_portal.data), "--account", account_id, "--from", "2020-01-01")
    for kind in ("jsonl", "parquet"):
        target = tmp_path / f"usage.{kind}"
        code, out, err = await run_portal(*base, "--to", end, "--format", kind, "--output", str(target))
        assert (code, out) == (0, ""), err
        assert f"{expected:,} rows in" in err
        count = pq.read_table(target).num_rows if kind == "parquet" else len(target.read_text().splitlines())
        assert count == expected > 0
    log = "SELECT actor_kind, details->>'format' FROM audit_events WHERE account_id = $1 AND action = 'usage.export'"
    noted = [tuple(row) for row in await sql.fetch(log, account_id)]
    assert {("system", "jsonl"), ("system", "parquet")} <= {*noted}
    assert files_in(tmp_path) == ["usage.jsonl", "usage.parquet"]


async def test_standard_output_takes_buckets(demo_portal: DemoPortal) -> None:
    account_id = demo_portal.facts["logins"]["developer"]["account_id"]
    base = ("usage", "export", "--data", str(demo_portal.data), "--account", account_id, "--from", "2020-01-01")
    code, out, _ = await run_portal(*base, "--rows", "days", "--format", "jsonl", "--key", "key_x")
    assert (code, out) == (0, "")
    code, out, _ = await run_portal(*base, "--rows", "days", "--format", "jsonl")
    assert code == 0
    assert {"bucket_at", "calls"} <= set(json.loads(out.splitlines()[0]))


async def test_mistakes_are_reported_and_leave_no_file(demo_portal: DemoPortal, tmp_path: Path) -> None:
    account_id = demo_portal.facts["logins"]["developer"]["account_id"]
    base = ("usage", "export", "--data", str(demo_portal.data), "--output", str(tmp_path / "file"))
    for arguments, word in (
        (("--account", "acct_none", "--from", "2026-01-01"), "There is no such account."),
        (("--account", account_id, "--from", "soon"), "--from must be a day or an instant."),
        (("--account", account_id, "--from", "2026-01-02", "--to", "2026-01-01"), "`from` must be before `to`."),
    ):
        code, _, err = await run_portal(*base, *arguments)
        assert code == 1
        assert word in err
    assert files_in(tmp_path) == []
