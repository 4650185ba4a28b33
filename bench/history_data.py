"""Bucket rows by the hundred million, made by the server itself into partitions as production has them.

Rows lie in the order of time, as ingest leaves them: those of one account scattered among those of all others. One
account is large (400 combinations of key, endpoint and outcome), ten are busy, the others usual. A month is filled
without an index and then attached, which takes a fraction of the time of single inserts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil

import asyncpg

from portal.usage.rules import DAY, MINUTE, QUARTER, month_of, months_from, partition_name

MONTHS = 13
MINUTE_MONTHS = 2
MAX_EVENTS = 3_000_000
LARGE, BUSY, BUSY_COMBOS, USUAL, USUAL_COMBOS = 400, 10, 100, 465, 40
KEY = "account_id, bucket_at, key_id, environment, resource, outcome"
Progress = Callable[[int], None]
Counts = tuple[int, int, int]
_MINUTES: Counts = (100, 97, 170)
_QUARTERS: Counts = (200, 300, 1260)
_DAYS: Counts = (LARGE, BUSY * BUSY_COMBOS, USUAL * USUAL_COMBOS)

_COMBOS = """
CREATE UNLOGGED TABLE combos AS
WITH sizes AS (
    SELECT a, CASE WHEN a = 0 THEN $1::int WHEN a <= $2::int THEN $3::int ELSE $4::int END AS combos
    FROM generate_series(0, $2::int + $5::int) a
), made AS (
    SELECT a, CASE WHEN a = 0 THEN 0 WHEN a <= $2 THEN 1 ELSE 2 END AS class,
        'acct_' || lpad(a::text, 26, '0') AS account_id, 'key_' || lpad((a * 100 + c % 10)::text, 26, '0') AS key_id,
        CASE WHEN c % 10 = 9 THEN 'test' ELSE 'live' END AS environment,
        (ARRAY['GET', 'POST'])[1 + c % 2] || ' /v1/resource-' || (c / 20) AS resource,
        CASE WHEN c / 10 % 2 = 0 THEN 'VALID' ELSE 'RATE_LIMITED' END AS outcome
    FROM sizes CROSS JOIN LATERAL generate_series(0, combos - 1) c
)
SELECT class, row_number() OVER (PARTITION BY class ORDER BY md5(key_id || resource || outcome)) - 1 AS n,
    account_id, key_id, environment, resource, outcome FROM made
"""
_FILL = """
INSERT INTO {name} ({key}, calls, units)
SELECT combos.account_id, {start} + step * interval '{width}', combos.key_id, combos.environment, combos.resource,
    combos.outcome, 1 + step % 97, 1 + step % 97
FROM generate_series($1::int, $2::int) step
CROSS JOIN (VALUES (0, $3::int, $6::int), (1, $4::int, $7::int), (2, $5::int, $8::int)) AS class (class, count, total)
CROSS JOIN LATERAL (
    SELECT * FROM combos WHERE combos.class = class.class AND class.count > 0
        AND n >= step * class.count % (class.total - class.count + 1)
        AND n < step * class.count % (class.total - class.count + 1) + class.count
) combos
"""
_EVENTS = """
INSERT INTO {name} (account_id, occurred_at, request_id, key_id, secret_id, environment, resource, code, cost, period)
SELECT account_id, at,
    'req_' || lpad(to_hex((extract(epoch FROM at) * 1000000)::bigint), 16, '0') || lpad(i::text, 10, '0'),
    key_id, 'sec_' || substr(key_id, 5), environment, resource, outcome, 1, '{period}'
FROM generate_series(0, {count} - 1) i
CROSS JOIN LATERAL (SELECT {start} + i * interval '{gap} microseconds') AS moment (at)
JOIN combos ON class = CASE WHEN i % 5 = 0 THEN 0 WHEN i % 5 < 3 THEN 1 ELSE 2 END
    AND n = i * 7919::bigint % (CASE WHEN i % 5 = 0 THEN {large} WHEN i % 5 < 3 THEN {busy} ELSE {usual} END)
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How many accounts are usual, rows a step of each table by class (large, busy, usual), and raw events."""

    usual: int
    minutes: Counts
    quarters: Counts
    days: Counts
    events: int

    @property
    def totals(self) -> Counts:
        return LARGE, BUSY * BUSY_COMBOS, self.usual * USUAL_COMBOS


def size_for(rows: int, now: datetime) -> Size:
    """So that all tables together hold no less: some 8 % days, 62 % quarter-hours, 30 % minutes, as the month goes.

    The large and the busy accounts are as large on any day, and in more than 100 million; usual ones make up the rest.
    """
    whole, minutes = (now - months_from(month_of(now), 1 - months) for months in (MONTHS, MINUTE_MONTHS))
    steps = minutes / MINUTE, whole / QUARTER, whole / DAY
    share = min(1, rows / 100_000_000)
    counts = [(ceil(large * share), ceil(busy * share), usual) for large, busy, usual in (_MINUTES, _QUARTERS, _DAYS)]
    left = rows - sum(step * (large + busy) for step, (large, busy, _) in zip(steps, counts, strict=True))
    rest = left / sum(step * usual for step, (_, _, usual) in zip(steps, counts, strict=True))
    minute, quarter, day = [(large, busy, ceil(usual * rest)) for large, busy, usual in counts]
    return Size(max(20, ceil(USUAL * rest)), minute, quarter, day, events=min(MAX_EVENTS, rows // 10))


async def make_data(owner: asyncpg.Connection, size: Size, now: datetime, advance: Progress) -> int:
    """Thirteen months of buckets up to `now`, and a month of raw events. Returns how many bucket rows there are."""
    await owner.execute(
        "SET maintenance_work_mem = '768MB'; SET work_mem = '64MB'; SET max_parallel_workers_per_gather = 0"
    )
    await owner.execute("SET max_parallel_maintenance_workers = 1")
    await owner.execute(
        _COMBOS.replace("$1", str(LARGE))
        .replace("$2", str(BUSY))
        .replace("$3", str(BUSY_COMBOS))
        .replace("$4", str(USUAL_COMBOS))
        .replace("$5", str(size.usual))
    )
    await owner.execute("CREATE INDEX ON combos (class, n); ANALYZE combos")
    count = 0
    for back in range(MONTHS - 1, -1, -1):
        month = months_from(month_of(now), -back)
        tables = [("usage_days", "1 day", size.days), ("usage_quarters", "15 minutes", size.quarters)]
        tables += [("usage_minutes", "1 minute", size.minutes)] if back < MINUTE_MONTHS else []
        for table, width, counts in tables:
            count += await _fill(owner, (table, width, counts), size, month, now, advance)
    await _fill_events(owner, size, now)
    await owner.execute(
        "INSERT INTO secret_uses SELECT DISTINCT account_id, 'sec_' || substr(key_id, 5), key_id, now() FROM combos"
    )
    await owner.execute("ANALYZE")
    return count


async def _fill(
    owner: asyncpg.Connection,
    table: tuple[str, str, Counts],
    size: Size,
    month: datetime,
    now: datetime,
    advance: Progress,
) -> int:
    parent, width, counts = table
    name, end = partition_name(parent, month), months_from(month, 1)
    step = {"1 day": DAY, "15 minutes": QUARTER, "1 minute": MINUTE}[width]
    last = (min(end, now) - month) // step - (min(end, now) == end)
    await _create(owner, parent, name)
    statement = _FILL.format(name=name, key=KEY, start=f"timestamptz '{month:%Y-%m-%d} 00:00:00+00'", width=width)
    done, count, a_time = 0, 0, max(1, 500_000 // max(1, sum(counts)))
    while done <= last:
        until = min(last, done + a_time - 1)
        tag = await owner.execute(statement, done, until, *counts, *size.totals)
        added = int(tag.rpartition(" ")[2])
        advance(added)
        count, done = count + added, until + 1
    await owner.execute(f"ALTER TABLE {name} ADD PRIMARY KEY ({KEY}) INCLUDE (calls, units)")
    await _attach(owner, parent, name, (month, end))
    return count


async def _fill_events(owner: asyncpg.Connection, size: Size, now: datetime) -> None:
    month = month_of(now)
    name, end = partition_name("usage_events", month), months_from(month, 1)
    await _create(owner, "usage_events", name)
    gap = max(1, int((now - month).total_seconds() * 1_000_000) // size.events)
    large, busy, usual = size.totals
    await owner.execute(
        _EVENTS.format(
            name=name,
            count=size.events,
            gap=gap,
            start=f"timestamptz '{month:%Y-%m-%d} 00:00:00+00'",
            period=f"{month:%Y-%m}",
            large=large,
            busy=busy,
            usual=usual,
        )
    )
    await owner.execute(f"ALTER TABLE {name} ADD PRIMARY KEY (account_id, occurred_at, request_id)")
    await _attach(owner, "usage_events", name, (month, end))


async def _create(owner: asyncpg.Connection, parent: str, name: str) -> None:
    await owner.execute(f"DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (LIKE {parent} INCLUDING DEFAULTS)")


async def _attach(owner: asyncpg.Connection, parent: str, name: str, stretch: tuple[datetime, datetime]) -> None:
    """Vacuumed as autovacuum would have done it by then, so that the index alone may answer."""
    start, end = (f"'{instant.astimezone(UTC):%Y-%m-%d} 00:00:00+00'" for instant in stretch)
    await owner.execute(f"ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end})")
    await owner.execute(f"VACUUM (ANALYZE) {name}")
