"""`python -m bench.billing [--accounts N]`: how invoices scale, and how long the audits take.

Accounts on Pro with a month of usage are billed by one process of the worker `finalize_invoices`, as many others by
four, while `number_invoices` numbers in a process of its own; meanwhile PostgreSQL is asked who waits for what. Then
`portal usage audit` and `portal audit verify` look at all of it. On a quiet machine: `--accounts 20000`.
"""

import argparse
import asyncio
import multiprocessing
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path
from time import monotonic, process_time
from zoneinfo import ZoneInfo

from sqlalchemy import text

from bench.folders import own_folder
from portal import billing
from portal.core.clock import utc_now
from portal.core.database import Database
from portal.core.embedded import start_services
from portal.runtime import prepare_database
from portal.usage.rules import month_of, months_from
from workers import finalize_invoices, number_invoices

SAMPLE_SECONDS = 0.02
CALLS = 6
WORKERS = 4
_FILL = (
    """
    INSERT INTO accounts (id, name, time_zone, created_at)
    SELECT 'acct_' || lpad(a::text, 26, '0'), 'Account ' || a, 'UTC', CAST(:month AS timestamptz)
    FROM generate_series(1, CAST(:accounts AS int)) a
    """,
    """
    INSERT INTO subscriptions (account_id, plan_id, started_at)
    SELECT accounts.id, plans.id, CAST(:month AS timestamptz) FROM accounts, plans WHERE plans.slug = 'pro'
    """,
    """
    INSERT INTO plan_choices (account_id, chosen_at, plan_id)
    SELECT account_id, started_at, plan_id FROM subscriptions
    """,
    """
    INSERT INTO usage_events (account_id, occurred_at, request_id, key_id, secret_id, environment, resource, code,
        cost, period)
    SELECT id, CAST(:month AS timestamptz) + call * interval '1 hour', 'req_' || lpad(call::text, 26, '0'),
        'key_' || substr(id, 6), 'sec_' || substr(id, 6), 'live', 'GET /v1/' || call % 3, 'VALID', 300000,
        to_char(CAST(:month AS timestamptz), 'YYYY-MM')
    FROM accounts, generate_series(1, CAST(:calls AS int)) call
    """,
    *(
        f"""
        INSERT INTO usage_{size} (account_id, bucket_at, key_id, environment, resource, outcome, calls, units)
        SELECT account_id, date_bin('{width}', occurred_at, timestamptz '2000-01-01 00:00+00'), key_id, environment,
            resource, code, count(*), sum(cost)
        FROM usage_events GROUP BY 1, 2, 3, 4, 5, 6
        """  # noqa: S608  # fixed names of our own
        for size, width in {"minutes": "1 minute", "quarters": "15 minutes", "days": "1 day"}.items()
    ),
    """
    INSERT INTO usage_periods (account_id, period, used)
    SELECT account_id, period, sum(cost) FROM usage_events GROUP BY 1, 2
    """,
)
_HOLD_BACK = "UPDATE billing_accounts SET next_at = next_at + interval '10 years' WHERE account_id > :half"
_LET_GO = "UPDATE billing_accounts SET next_at = next_at - interval '10 years' WHERE account_id > :half"
_WAITING = text("""
SELECT count(*) AS samples,
    count(*) FILTER (WHERE wait_event_type = 'Lock' AND query ILIKE '%invoice_numbers%') AS on_numbers,
    count(*) FILTER (WHERE wait_event_type = 'Lock') AS on_locks
FROM pg_stat_activity
WHERE state = 'active' AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND datname = current_database()
""")


@dataclass
class Waits:
    """Statements that were seen under way, and those of them that waited for the year's numbers, or for any lock."""

    samples: int = 0
    on_numbers: int = 0
    on_locks: int = 0


@dataclass(frozen=True, slots=True)
class Billed:
    """How fast accounts were billed, and the CPU time of the workers."""

    accounts: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        return self.accounts / self.seconds

    @property
    def cpu_ms(self) -> float:
        return 1000 * self.cpu_seconds / self.accounts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.billing", description="Measure billing and its audits.")
    parser.add_argument("--accounts", type=int, default=2_000, help="how many, half of them for each way (2000)")
    accounts = parser.parse_args().accounts
    with own_folder() as folder:
        asyncio.run(_measure(folder, accounts))
    return 0


async def _measure(folder: Path, accounts: int) -> None:
    services = await start_services(folder / "data")
    try:
        await prepare_database(services.database_url)
        database = Database(services.database_url)
        half = f"acct_{accounts // 2:026}"
        await _fill(database, accounts, half)
        waits = Waits()
        single = await _bill(services.database_url, database, 1, accounts // 2, waits)
        await _execute(database, _LET_GO, half=half)
        four = await _bill(services.database_url, database, WORKERS, accounts - accounts // 2, waits)
        async with database.snapshot() as tx:
            gaps = await billing.audit_numbers(tx)
        await database.close()
        _tell(f"one worker    {single.rate:8.1f} accounts/s, {single.cpu_ms:.2f} ms of its CPU each")
        _tell(f"four workers  {four.rate:8.1f} accounts/s, {four.cpu_ms:.2f} ms of their CPU each")
        _tell(f"four ÷ one    {four.rate / single.rate:8.2f} (≥ 1.6), {os.cpu_count()} cores")
        share = 100 * waits.on_numbers / max(1, waits.samples)
        _tell(f"on numbers    {share:8.2f} % of {waits.samples} samples (< 1), {waits.on_locks} on any lock")
        _tell(f"gaps          {len(gaps):8}")
        settings = {"PORTAL_DATABASE_URL": services.database_url, "PORTAL_REDIS_URLS": ",".join(services.redis_urls)}
        for command in (("usage", "audit", "--period", f"{_month():%Y-%m}"), ("audit", "verify")):
            seconds, last_line = await asyncio.to_thread(_run, command, folder, settings)
            per_100_000 = seconds / accounts * 100_000
            name = " ".join(command[:2])
            _tell(f"portal {name:13} {seconds:6.1f} s, {per_100_000:6.1f} s per 100,000 (≤ 120): {last_line}")
    finally:
        await services.stop()


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _month() -> datetime:
    return months_from(month_of(utc_now()), -1)


async def _fill(database: Database, accounts: int, half: str) -> None:
    for statement in _FILL:
        values = {"month": _month(), "accounts": accounts, "calls": CALLS}
        await _execute(database, statement, **{name: values[name] for name in values if f":{name}" in statement})
    after: str | None = ""
    while after is not None:
        async with database.transaction() as tx:
            after = await billing.register_accounts(tx, after)
    await _execute(database, _HOLD_BACK, half=half)
    async with database.owner_connection() as connection:
        await connection.execute(text("VACUUM ANALYZE"))


async def _execute(database: Database, statement: str, **values: object) -> None:
    async with database.owner_transaction() as tx:
        await tx.execute(text(statement), values)


async def _bill(url: str, database: Database, workers: int, accounts: int, waits: Waits) -> Billed:
    """Bill what is due in `workers` processes, and wait until it has its numbers."""
    spawning = multiprocessing.get_context("spawn")
    ready, begin, done = spawning.Semaphore(0), spawning.Event(), spawning.Event()
    cpu: Queue[float] = spawning.Queue()
    processes = [spawning.Process(target=_finalize, args=(url, ready, begin, cpu)) for _ in range(workers)]
    numberer = spawning.Process(target=_number, args=(url, ready, done))
    for process in (*processes, numberer):
        process.start()
    for _ in (*processes, numberer):
        await asyncio.to_thread(ready.acquire)
    begun = monotonic()
    begin.set()
    sampling = asyncio.create_task(_sample(database, waits))
    used = [await asyncio.to_thread(cpu.get) for _ in processes]
    seconds = monotonic() - begun
    sampling.cancel()
    with suppress(asyncio.CancelledError):
        await sampling
    while await _unnumbered(database):  # noqa: ASYNC110  # another process numbers
        await asyncio.sleep(SAMPLE_SECONDS)
    done.set()
    for process in (*processes, numberer):
        await asyncio.to_thread(process.join)
    return Billed(accounts, seconds, sum(used))


async def _unnumbered(database: Database) -> int:
    async with database.transaction() as tx:
        return await tx.get(text("SELECT count(*) FROM invoices WHERE number IS NULL"), returns=int)


async def _sample(database: Database, waits: Waits) -> None:
    while True:
        async with database.owner_transaction() as tx:
            row = (await tx.execute(_WAITING)).one()
        waits.samples += row.samples
        waits.on_numbers += row.on_numbers
        waits.on_locks += row.on_locks
        await asyncio.sleep(SAMPLE_SECONDS)


def _finalize(url: str, ready: Semaphore, begin: Event, cpu: "Queue[float]") -> None:
    async def finalize() -> float:
        database, stop = Database(url), asyncio.Event()
        async with database.transaction():
            ready.release()
        await asyncio.to_thread(begin.wait)
        before = process_time()
        await finalize_invoices.finalize_due(database, timedelta(0), stop)
        used = process_time() - before
        await database.close()
        return used

    cpu.put(asyncio.run(finalize()))


def _number(url: str, ready: Semaphore, done: Event) -> None:
    async def number() -> None:
        database, stop = Database(url), asyncio.Event()
        running = asyncio.create_task(number_invoices.run(database, ZoneInfo("UTC"), stop))
        ready.release()
        await asyncio.to_thread(done.wait)
        stop.set()
        await running
        await database.close()

    asyncio.run(number())


def _run(command: tuple[str, ...], folder: Path, settings: dict[str, str]) -> tuple[float, str]:
    code = "from portal.cli import main; main()"
    environment = {**os.environ, **settings, "PORTAL_DATA": str(folder / "data")}
    begun = monotonic()
    done = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-c", code, *command], env=environment, capture_output=True, text=True, check=False
    )
    return monotonic() - begun, (done.stdout or done.stderr).strip().rpartition("\n")[2]


if __name__ == "__main__":
    sys.exit(main())
