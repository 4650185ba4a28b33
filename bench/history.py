"""`python -m bench.history [--rows 100000000] [--keep]`: questions about one account among very many bucket rows.

`make bench` asks them too, of a database that is made in half a minute.

The portal's own statements through its own connection pool, as the GraphQL resolvers send them, on the embedded
PostgreSQL and Python with their settings as they are. Each question is asked about another account every time.
"""

import argparse
import asyncio
import os
import platform
import random
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import asyncpg

from bench.contender import Sample
from bench.history_data import BUSY, MONTHS, Size, make_data, size_for
from migrations.run import migrate
from portal.cli.progress import progress
from portal.core.clock import utc_now
from portal.core.database import Database, Tx
from portal.core.embedded import start_services
from portal.runtime import tune_gc
from portal.usage import (
    Granularity,
    RequestQuery,
    UsageFilter,
    UsageGroup,
    UsageQuery,
    list_requests,
    top_usage,
    usage_series,
)
from portal.usage.rules import month_of, months_from

FOLDER = Path("build") / "bench-history"
RESULTS = Path(__file__).parent / "results"
ROUNDS = 60
TARGET_MS = 100.0
_ROWS = (
    "SELECT sum(reltuples)::bigint FROM pg_class WHERE relname ~ '^usage_(days|minutes|quarters)_2' AND relkind = 'r'"
)
_BYTES = "SELECT pg_database_size(current_database())"
Ask = Callable[[Tx, str], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Question:
    name: str
    ask: Ask


@dataclass(frozen=True, slots=True)
class Answered:
    """Milliseconds of each round, from the start of the transaction to the answer in Python."""

    name: str
    of: str
    times_ms: Sequence[float]

    @property
    def p50(self) -> float:
        return median(self.times_ms)

    @property
    def p95(self) -> float:
        return quantiles(self.times_ms, n=20)[-1]


@dataclass(frozen=True, slots=True)
class Stored:
    """What was asked about."""

    rows: int
    gigabytes: float


def questions(now: datetime) -> Iterator[Question]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    month, year = (midnight - timedelta(days=30), midnight), (months_from(month_of(now), -11), midnight)

    def series(stretch: tuple[datetime, datetime], **changes: Any) -> Ask:
        return lambda tx, account: usage_series(tx, account, UsageQuery(*stretch, **changes))

    yield Question("30 days by day, UTC", series(month))
    yield Question("30 days by day, Europe/Berlin", series(month, time_zone="Europe/Berlin"))
    yield Question("30 days by day, Asia/Kolkata", series(month, time_zone="Asia/Kolkata"))
    yield Question("30 days by day, by endpoint", series(month, group_by=UsageGroup.RESOURCE))
    yield Question("7 days by hour", series((now - timedelta(days=7), now), granularity=Granularity.HOUR))
    yield Question("24 hours by minute", series((now - timedelta(hours=24), now), granularity=Granularity.MINUTE))
    yield Question("one year by month", series(year, granularity=Granularity.MONTH))
    berlin = {"granularity": Granularity.MONTH, "time_zone": "Europe/Berlin", "group_by": UsageGroup.RESOURCE}
    yield Question("one year by month, Europe/Berlin, by endpoint", series(year, **berlin))
    top = UsageQuery(*month, group_by=UsageGroup.RESOURCE)
    yield Question("top endpoints of 30 days", lambda tx, account: top_usage(tx, account, top, 10))
    log = RequestQuery(now - timedelta(days=30), now)
    yield Question("request log, a page of 50", lambda tx, account: list_requests(tx, account, log, limit=51))
    denied = RequestQuery(now - timedelta(days=30), now, UsageFilter(outcome="RATE_LIMITED"))
    yield Question("request log, denied only", lambda tx, account: list_requests(tx, account, denied, limit=51))


def accounts_of(kind: str, usual: int) -> Iterator[str]:
    """Another one every time, but for the single large one."""
    dice = random.Random(7)  # noqa: S311  # the same accounts in every run
    firsts = {"large": (0, 0), "busy": (1, BUSY), "usual": (BUSY + 1, BUSY + usual)}
    while True:
        yield f"acct_{dice.randint(*firsts[kind]):026d}"


async def measure(database: Database, now: datetime, usual: int, rounds: int) -> list[Answered]:
    answered = []
    for question in questions(now):
        for kind in ("usual", "busy", "large"):
            times = []
            accounts = accounts_of(kind, usual)
            for _ in range(rounds):
                account = next(accounts)
                begin = perf_counter()
                async with database.transaction(account) as tx:
                    await question.ask(tx, account)
                times.append((perf_counter() - begin) * 1000)
            answered.append(Answered(question.name, kind, times))
            sys.stderr.write(f"{question.name:50} {kind:6} p50 {median(times):8.1f} ms, slowest {max(times):8.1f} ms\n")
    return answered


def page(size: Stored, answered: Sequence[Answered]) -> str:
    """The Markdown report."""
    worst = worst_of(answered)
    verdict = "met" if worst.p95 <= TARGET_MS else "missed"
    lines = [
        "# History queries",
        f"{size.rows:,} bucket rows in {MONTHS} months, {size.gigabytes:.1f} GB with indexes.",
        f"{len(answered[0].times_ms)} rounds a question and kind of account, an account drawn anew each time; from the",
        f"start of the transaction to the answer in Python {platform.python_version()}. {os.cpu_count()} cores, load"
        f" {os.getloadavg()[0]:.1f}, shared_buffers 128 MB, {utc_now():%Y-%m-%d}.",
        "",
        f"Target: p95 ≤ {TARGET_MS:.0f} ms; the slowest of all is {worst.p95:.1f} ms ({worst.name}, {worst.of}):"
        f" {verdict}.",
        "",
        "| question | account | p50 ms | p95 ms | max ms |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.name} | {row.of} | {row.p50:.1f} | {row.p95:.1f} | {max(row.times_ms):.1f} |" for row in answered
    ]
    return "\n".join([*lines, ""])


class History:
    """One sample has all rounds of all questions; its value is the worst p95 of any question and kind of account."""

    name = "history"
    unit = "ms (worst p95)"

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self.about = f"usage of 30 days, a year, by endpoint and more, among {rows:,} bucket rows"

    async def measure(self, _seconds: float) -> Sample:
        stored, answered = await _ask(self._rows, ROUNDS, is_kept=False)
        worst = worst_of(answered)
        p95 = {f"{row.name} ({row.of})": round(row.p95, 2) for row in answered}
        return Sample(
            worst.p95, {"rows": stored.rows, "worst": f"{worst.name} ({worst.of})", "p95_ms_by_question": p95}
        )


def worst_of(answered: Sequence[Answered]) -> Answered:
    return max(answered, key=lambda row: row.p95)


async def run(rows: int, rounds: int, *, is_kept: bool) -> None:
    _write(page(*await _ask(rows, rounds, is_kept=is_kept)))


async def _ask(rows: int, rounds: int, *, is_kept: bool) -> tuple[Stored, list[Answered]]:
    folder = FOLDER / str(rows)
    services = await start_services(folder, durable=False)
    try:
        now = utc_now()
        size = size_for(rows, now)
        await migrate(services.database_url)
        database = Database(services.database_url)
        stored = await _prepare(database, size, now, rows)
        tune_gc()
        answered = await measure(database, now, size.usual, rounds)
        await database.close()
    finally:
        await services.stop()
        if not is_kept:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return stored, answered


async def _prepare(database: Database, size: Size, now: datetime, rows: int) -> Stored:
    """Make the data unless an earlier run has kept it. Day buckets are vacuumed as autovacuum would have by then."""
    owner = await asyncpg.connect(database.dsn)
    try:
        if await owner.fetchval("SELECT to_regclass('combos') IS NULL"):
            with progress("Bucket rows", rows) as advance:
                await make_data(owner, size, now, advance)
        await owner.execute("VACUUM (ANALYZE) usage_days")
        return Stored(await owner.fetchval(_ROWS), await owner.fetchval(_BYTES) / 1e9)
    finally:
        await owner.close()


def _write(report: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "history.md").write_text(report)
    sys.stdout.write(report)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.history", description="Measure history queries.")
    parser.add_argument("--rows", type=int, default=100_000_000, help="bucket rows (100 million take about 30 GB)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each question and kind of account")
    parser.add_argument("--keep", action="store_true", help="leave the data for the next run")
    given = parser.parse_args(arguments)
    asyncio.run(run(given.rows, given.rounds, is_kept=given.keep))
    return 0


if __name__ == "__main__":
    sys.exit(main())
