"""`portal usage` and `portal journal ship` as they are typed."""

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path

from sqlalchemy import text

from portal.core.clock import utc_now
from portal.core.database import Database
from portal.usage import encode_batch, ingest_usage
from portal.usage.journal.format import HEADER_SIZE, encode_frames
from portal.usage.journal.segments import segment_path
from portal.usage.journal.writer import OpenSegment
from portal.usage.records import encode_record
from tests.cli.demo_portal import run_portal
from tests.usage.sample import new_account, records
from tests.usage.truth import raw_totals

INCARNATION = "0" * 26
LIVING = """
import sys, time
from pathlib import Path
from portal.usage import Journal
from tests.usage.sample import record
journal = Journal(Path(sys.argv[1]), segment_bytes=10**6, sync_ms=50)
journal.open()
journal.append([record()])
print("written", flush=True)
time.sleep(600)
"""


def left_behind(folder: Path, account: str, count: int, number: int = 1) -> Path:
    """A dead process's segment."""
    folder.mkdir(exist_ok=True)
    segment = OpenSegment(folder, INCARNATION, number)
    lines = records(count, account_id=account, at=utc_now() - timedelta(hours=number))
    segment.append(encode_frames(encode_record(one) for one in lines))
    segment.close()
    return segment_path(folder, INCARNATION, number)


async def test_the_audit_ends_well_or_names_the_difference(own: Database, where: dict[str, str]) -> None:
    account, now = new_account(), utc_now()
    await ingest_usage(own, encode_batch(records(10, account_id=account, at=now)))
    code, out, _ = await run_portal("usage", "audit", **where)
    assert (code, out) == (0, "1 accounts in 26 months, 0 differences.\n")
    async with own.transaction() as tx:
        await tx.execute(text("UPDATE usage_days SET units = units + 1"))
    code, out, err = await run_portal("usage", "audit", "--account", account, "--period", f"{now:%Y-%m}", **where)
    assert (code, out) == (1, "1 accounts in 1 months, 1 differences.\n")
    assert err.startswith(f"{account} key_a {now:%Y-%m-%d}: days say 11 units, quarter-hours 10, the first at")
    code, out, _ = await run_portal("usage", "audit", "--json", **where)
    document = json.loads(out)
    assert (code, document["count"], document["differences"][0]["key_id"]) == (1, 1, "key_a")


async def test_the_audit_refuses_what_is_no_period(where: dict[str, str]) -> None:
    code, _, err = await run_portal("usage", "audit", "--period", "november", **where)
    assert (code, err.count("\n")) == (1, 1)
    assert "Write it like 2026-11" in err


async def test_a_dead_nodes_journal_is_shipped_once(own: Database, where: dict[str, str], tmp_path: Path) -> None:
    account, folder = new_account(), tmp_path / "dead"
    folder.mkdir()
    left_behind(folder / "journal", account, 30)
    torn = left_behind(folder / "journal", account, 20, 2)
    torn.write_bytes(torn.read_bytes()[:-7])
    code, out, _ = await run_portal("journal", "ship", str(folder), "--json", **where)
    assert code == 0
    assert json.loads(out)["shipped"] == 49
    assert json.loads(out)["cutBytes"] > 0
    assert await raw_totals(own, account) == (49, 49)
    again = await run_portal("journal", "ship", str(folder / "journal"), **where)
    assert again[:2] == (0, "0 records were shipped, 0 unfinished bytes cut off.\n")


async def test_shipped_again_from_a_copy_it_counts_once(own: Database, where: dict[str, str], tmp_path: Path) -> None:
    account = new_account()
    path = left_behind(tmp_path / "dead", account, 30)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / path.name).write_bytes(path.read_bytes())
    for folder in ("dead", "copy"):
        code, out, _ = await run_portal("journal", "ship", str(tmp_path / folder), "--json", **where)
        assert (code, json.loads(out)["shipped"]) == (0, 30)
    assert await raw_totals(own, account) == (30, 30)


async def test_damage_is_reported_and_the_rest_shipped(own: Database, where: dict[str, str], tmp_path: Path) -> None:
    account, folder = new_account(), tmp_path / "dead"
    path = left_behind(folder, account, 10)
    left_behind(folder, account, 5, 2)
    data = bytearray(path.read_bytes())
    data[HEADER_SIZE + 5 * ((len(data) - HEADER_SIZE) // 10) + 20] ^= 1
    path.write_bytes(data)
    code, out, err = await run_portal("journal", "ship", str(folder), **where)
    assert (code, out.split(" records")[0]) == (1, "10")
    assert f"{path.name}.damaged is damaged" in err
    assert await raw_totals(own, account) == (10, 10)
    code, out, _ = await run_portal("journal", "ship", str(folder), "--json", **where)
    assert (code, json.loads(out)["shipped"]) == (1, 0)


async def test_the_folder_of_a_living_process_is_refused(where: dict[str, str], tmp_path: Path) -> None:
    living = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LIVING, str(tmp_path / "j"), stdout=asyncio.subprocess.PIPE
    )
    assert living.stdout is not None
    assert await living.stdout.readline() == b"written\n"
    code, _, err = await run_portal("journal", "ship", str(tmp_path / "j"), **where)
    living.kill()
    await living.wait()
    assert (code, err.count("\n")) == (1, 1)
    assert "A living process writes" in err
    assert (await run_portal("journal", "ship", str(tmp_path / "j"), **where))[0] == 0


async def test_what_is_no_folder_is_refused(where: dict[str, str], tmp_path: Path) -> None:
    code, _, err = await run_portal("journal", "ship", str(tmp_path / "nowhere"), **where)
    assert (code, err.count("\n")) == (1, 1)
