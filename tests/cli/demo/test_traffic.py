"""`portal demo traffic`: its report, and that every ledger agrees with it to the unit."""

import asyncio
import json
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from portal.core.clock import utc_now
from portal.usage.records import occurred_at
from tests.cli.demo.test_run_demo import ask
from tests.cli.demo_portal import DemoPortal, run_portal

AGREE_SECONDS = 30.0


def read_log(path: Path) -> list[tuple[str, str, int, int]]:
    """(request id, code, cost, key number) of each answer."""
    rows = [line.split() for line in path.read_text().splitlines()]
    return [(request_id, code, int(cost), int(key)) for request_id, code, cost, key in rows]


async def traffic(portal: DemoPortal, *options: str) -> tuple[int, dict[str, Any]]:
    code, out, err = await run_portal("demo", "traffic", "--ready-file", str(portal.ready_file), "--json", *options)
    assert out, err
    return code, json.loads(out)


async def usage_totals(portal: DemoPortal, login: str, start: datetime) -> dict[str, int]:
    end = utc_now() + timedelta(hours=1)
    document = (
        f'{{ usage(from: "{start.isoformat()}", to: "{end.isoformat()}", granularity: MINUTE)'
        " { totals { calls units allowed denied } } }"
    )
    usage: Any = (await ask(portal, login, document))["usage"]
    totals: dict[str, int] = usage["totals"]
    return totals


async def wait_for(sql: asyncpg.Connection, since: datetime, count: int) -> float:
    """Seconds until so many events are counted; AGREE_SECONDS is what a crowded machine may need."""
    started = asyncio.get_running_loop().time()
    while await sql.fetchval("SELECT count(*) FROM usage_events WHERE occurred_at >= $1", since) < count:
        waited = asyncio.get_running_loop().time() - started
        assert waited < AGREE_SECONDS
        await asyncio.sleep(0.02)
    return asyncio.get_running_loop().time() - started


async def test_every_ledger_agrees_with_the_report(
    demo_portal: DemoPortal, sql: asyncpg.Connection, tmp_path: Path
) -> None:
    log = tmp_path / "answers"
    since = utc_now().replace(second=0, microsecond=0)
    before = {login: await usage_totals(demo_portal, login, since) for login in ("developer", "other_developer")}
    earlier = await sql.fetchval("SELECT count(*) FROM usage_events WHERE occurred_at >= $1", since)
    code, report = await traffic(demo_portal, "--count", "1000", "--concurrency", "32", "--log", str(log))
    await wait_for(sql, since, earlier + 1000)
    assert code == 0
    assert (report["sent"], report["refused"]) == (1000, {})
    assert report["allowed"] + sum(report["denied"].values()) == 1000
    answers = read_log(log)
    assert Counter(code for _, code, _, _ in answers) == report["answered"]
    rows = await sql.fetch(
        "SELECT request_id, code, cost, occurred_at FROM usage_events WHERE request_id = ANY($1)",
        [request_id for request_id, *_ in answers],
    )
    stored = Counter((row["request_id"], row["code"], row["cost"]) for row in rows)
    assert stored == Counter((request_id, code, cost) for request_id, code, cost, _ in answers)
    assert all(row["occurred_at"] == occurred_at(row["request_id"]) for row in rows)
    keys = [*demo_portal.facts["keys"]]
    for login, plan in (("developer", "pro"), ("other_developer", "free")):
        mine = [answer for answer in answers if keys[answer[3]] == plan]
        after = await usage_totals(demo_portal, login, since)
        grown = {name: after[name] - before[login][name] for name in after}
        allowed = sum(code == "VALID" for _, code, _, _ in mine)
        units = sum(cost for _, _, cost, _ in mine)
        assert grown == {"calls": len(mine), "units": units, "allowed": allowed, "denied": len(mine) - allowed}


async def test_keys_are_chosen_and_a_rate_is_kept(demo_portal: DemoPortal) -> None:
    code, report = await traffic(demo_portal, "--count", "40", "--rate", "50", "--key", "pro", "--concurrency", "4")
    assert (code, report["answered"]) == (0, {"VALID": 40})
    assert report["duration_seconds"] > 0.7
    unknown = "pk_live_000000000000000000000000000000000000"
    code, report = await traffic(demo_portal, "--count", "5", "--key", unknown)
    assert (code, report["answered"]) == (0, {"NOT_FOUND": 5})


async def test_the_report_for_people(demo_portal: DemoPortal) -> None:
    arguments = ("demo", "traffic", "--count", "20", "--url", demo_portal.url, "--data", str(demo_portal.data))
    code, out, err = await run_portal(*arguments)
    assert code == 0
    assert all(line.startswith("Sending checks: ") for line in err.splitlines())  # progress, where it takes a second
    assert out.splitlines()[0].startswith("sent               20  in ")
    assert "refused             0" in out


async def test_nothing_is_there(tmp_path: Path, demo_portal: DemoPortal) -> None:
    away = ("demo", "traffic", "--url", "http://127.0.0.1:9", "--data", str(demo_portal.data))
    code, out, err = await run_portal(*away)
    assert (code, out) == (1, "")
    assert err.startswith("portal: No portal answers at http://127.0.0.1:9. ")
    assert err.count("\n") == 1
    code, _, err = await run_portal("demo", "traffic", "--data", str(tmp_path))
    assert (code, err.count("\n")) == (1, 1)
    code, _, err = await run_portal("demo", "traffic", "--ready-file", str(tmp_path / "none"))
    assert (code, err.count("\n")) == (1, 1)


@pytest.mark.faults
async def test_every_answered_check_is_counted_once_after_a_kill(demo_portal: DemoPortal, tmp_path: Path) -> None:
    log = tmp_path / "answers"
    since = utc_now()
    options = ("--count", "6000", "--concurrency", "32", "--log", str(log))
    running = asyncio.create_task(traffic(demo_portal, *options))
    while not log.exists() or len(log.read_bytes().splitlines()) < 1000:
        assert not running.done()
        await asyncio.sleep(0.01)
    demo_portal.kill()
    await asyncio.to_thread(demo_portal.start)
    code, report = await running
    answers = read_log(log)
    assert code == 1
    assert report["refused"].keys() <= {"connection", "503"}
    assert report["sent"] == 6_000 == len(answers) + sum(report["refused"].values())
    assert len(answers) > 2000
    connection = await asyncpg.connect(demo_portal.facts["database_url"])
    try:
        await wait_for(connection, since, len(answers))
        ids = [request_id for request_id, *_ in answers]
        rows = await connection.fetch("SELECT request_id FROM usage_events WHERE request_id = ANY($1)", ids)
        assert Counter(row["request_id"] for row in rows) == Counter(ids)
        assert max(Counter(ids).values()) == 1
        extra = await connection.fetchval("SELECT count(*) FROM usage_events WHERE occurred_at >= $1", since)
        raw = await connection.fetchrow("SELECT count(*), sum(cost) FROM usage_events")
        days = await connection.fetchrow("SELECT sum(calls)::bigint, sum(units)::bigint FROM usage_days")
    finally:
        await connection.close()
    assert len(answers) <= extra <= report["sent"]
    assert tuple(raw) == tuple(days)
