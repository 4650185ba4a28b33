"""Statements of ingest and of the quarantine. They serve all accounts at once, as portal_system."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Date, Integer, LargeBinary, Text, bindparam, delete, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import col

from portal.core.columns import INSTANT
from portal.core.database import Tx
from portal.usage.ingest.validate import AccountDay, EventKey, NewestUse, RejectedRecord, StagedRow
from portal.usage.models import Quarantined
from portal.usage.rules import BUCKET_ORIGIN

_COLUMNS = "account_id, occurred_at, request_id, key_id, secret_id, environment, resource, code, cost, period, denial"
STAGED = tuple(_COLUMNS.split(", "))
_BUCKET_KEY = "account_id, bucket_at, key_id, environment, resource, outcome"

# Kept by the pooled connection and emptied with each commit: dropping it would rewrite the catalogue a thousand times.
_CREATE_STAGING = text("""
CREATE TEMPORARY TABLE IF NOT EXISTS usage_staging (
    account_id text, occurred_at timestamptz, request_id text, key_id text, secret_id text,
    environment text, resource text, code text, cost integer, period text, denial jsonb, bucket_resource text
) ON COMMIT DELETE ROWS
""")
_INSERTED = "SELECT * FROM inserted"
# Only a batch with resources beyond the thousand pays for this join.
_INSERTED_WITH_OVERFLOW = """
SELECT inserted.account_id, inserted.occurred_at, inserted.request_id, inserted.key_id, inserted.secret_id,
    inserted.environment, coalesce(bucket_resource, inserted.resource) AS resource, outcome, inserted.cost
FROM inserted JOIN usage_staging USING (account_id, occurred_at, request_id)
"""


def _buckets(size: str, start: str, origin: str, calls: str, units: str) -> str:
    """Roll `origin` up to one size of bucket and add that to the table, in the order of its key."""
    return f"""
    by_{size} AS (
        SELECT account_id, {start} AS bucket_at, key_id, environment, resource, outcome,
            {calls}::bigint AS calls, {units}::bigint AS units
        FROM {origin} GROUP BY 1, 2, 3, 4, 5, 6
    ), add_{size} AS (
        INSERT INTO usage_{size} AS bucket ({_BUCKET_KEY}, calls, units)
        SELECT {_BUCKET_KEY}, calls, units FROM by_{size} ORDER BY {_BUCKET_KEY}
        ON CONFLICT ({_BUCKET_KEY})
        DO UPDATE SET calls = bucket.calls + excluded.calls, units = bucket.units + excluded.units
    )"""  # noqa: S608  # fixed names of our own


# Rows are inserted and upserted in the order of their keys, so that concurrent batches wait for one another in line.
# Billable totals start from every staged pair, so that a batch which was here before reports them too.
def _ingest(counted: str) -> str:
    return f"""
WITH inserted AS (
    INSERT INTO usage_events AS event ({_COLUMNS})
    SELECT {_COLUMNS} FROM usage_staging ORDER BY account_id, occurred_at, request_id
    ON CONFLICT DO NOTHING
    RETURNING account_id, occurred_at, request_id, key_id, secret_id, environment, resource, code AS outcome, cost
), counted AS ({counted}),
{_buckets("minutes", f"date_bin('1 minute', occurred_at, {BUCKET_ORIGIN})", "counted", "count(*)", "sum(cost)")},
{_buckets("quarters", f"date_bin('15 minutes', bucket_at, {BUCKET_ORIGIN})", "by_minutes", "sum(calls)", "sum(units)")},
{_buckets("days", f"date_bin('1 day', bucket_at, {BUCKET_ORIGIN})", "by_quarters", "sum(calls)", "sum(units)")},
    add_periods AS (
        INSERT INTO usage_periods AS known (account_id, period, used)
        SELECT staged.account_id, staged.period, coalesce(sum(inserted.cost), 0)
        FROM usage_staging staged LEFT JOIN inserted USING (account_id, occurred_at, request_id)
        WHERE staged.code = 'VALID' AND staged.environment = 'live'
        GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (account_id, period) DO UPDATE SET used = known.used + excluded.used
        RETURNING account_id, period, used, settled
    )
SELECT account_id, period, used, settled FROM add_periods UNION ALL SELECT '', '', count(*), 0 FROM inserted
"""  # noqa: S608  # fixed names of our own


_INGEST = text(_ingest(_INSERTED))
_INGEST_WITH_OVERFLOW = text(_ingest(_INSERTED_WITH_OVERFLOW))

_OTHER_CONTENT = """
((staged.key_id, staged.secret_id, staged.environment, staged.resource, staged.code, staged.period)
    IS DISTINCT FROM (event.key_id, event.secret_id, event.environment, event.resource, event.code, event.period)
    OR event.settled_at IS NULL AND staged.cost IS DISTINCT FROM event.cost)
"""
_BETWEEN = (bindparam("first", type_=INSTANT), bindparam("last", type_=INSTANT))
_CONFLICTS = text(f"""
SELECT staged.account_id, staged.request_id
FROM usage_staging staged JOIN usage_events event USING (account_id, occurred_at, request_id)
WHERE event.occurred_at BETWEEN :first AND :last AND {_OTHER_CONTENT}
""").bindparams(*_BETWEEN)  # noqa: S608  # fixed names of our own
_IS_CONFLICT = text(f"""
SELECT EXISTS (SELECT FROM usage_events event,
    (SELECT :key_id AS key_id, :secret_id AS secret_id, :environment AS environment, :resource AS resource,
        :code AS code, :cost AS cost, :period AS period) staged
WHERE event.account_id = :account_id AND event.occurred_at = :occurred_at AND event.request_id = :request_id
    AND {_OTHER_CONTENT})
""").bindparams(  # noqa: S608  # fixed names of our own
    *(bindparam(name, type_=Text) for name in STAGED if name not in {"occurred_at", "cost", "denial"}),
    bindparam("occurred_at", type_=INSTANT),
    bindparam("cost", type_=Integer),
)

_UPSERT_USES = text("""
INSERT INTO secret_uses AS known (account_id, secret_id, key_id, last_used_at, last_used_address)
SELECT * FROM unnest(:accounts, :secrets, :keys, :times, :addresses) ORDER BY 1, 2
ON CONFLICT (account_id, secret_id) DO UPDATE SET last_used_at = excluded.last_used_at,
    last_used_address = coalesce(nullif(excluded.last_used_address, ''), known.last_used_address)
WHERE excluded.last_used_at > known.last_used_at
""").bindparams(
    *(bindparam(name, type_=ARRAY(Text)) for name in ("accounts", "secrets", "keys", "addresses")),
    bindparam("times", type_=ARRAY(INSTANT)),
)

_DAYS = (bindparam("accounts", type_=ARRAY(Text)), bindparam("days", type_=ARRAY(Date)))
_NAMES = text("""
SELECT account_id, day, names FROM usage_resources JOIN unnest(:accounts, :days) AS wanted (account_id, day)
    USING (account_id, day)
""").bindparams(*_DAYS)
_LOCK_NAMES = text("""
INSERT INTO usage_resources AS known (account_id, day) SELECT * FROM unnest(:accounts, :days) ORDER BY 1, 2
ON CONFLICT (account_id, day) DO UPDATE SET names = known.names RETURNING account_id, day, names
""").bindparams(*_DAYS)
_SET_NAMES = text("UPDATE usage_resources SET names = :names WHERE account_id = :account AND day = :day").bindparams(
    bindparam("names", type_=ARRAY(Text))
)

_QUARANTINE = text("""
INSERT INTO usage_quarantine (digest, reason, detail, account_id, request_id, body, quarantined_at)
SELECT rejected.*, :now FROM unnest(:digests, :reasons, :details, :accounts, :requests, :bodies) AS rejected
ON CONFLICT (digest) DO NOTHING RETURNING id
""").bindparams(
    *(bindparam(name, type_=ARRAY(Text)) for name in ("reasons", "details", "accounts", "requests")),
    *(bindparam(name, type_=ARRAY(LargeBinary)) for name in ("digests", "bodies")),
    bindparam("now", type_=INSTANT),
)
REJECTED_BATCH_SIZE = 100


@dataclass(frozen=True, slots=True)
class PeriodTotal:
    """Billable units that an account has in one billing period so far; settlements added `settled` of them."""

    account_id: str
    period: str
    used: int
    settled: int = 0


async def stage_events(tx: Tx, rows: Sequence[StagedRow], *, has_overflow: bool = False) -> None:
    """COPY rows into staging. `has_overflow`: each ends with the resource of its bucket, None where that is its own."""
    await tx.execute(_CREATE_STAGING)
    await tx.copy("usage_staging", (*STAGED, "bucket_resource") if has_overflow else STAGED, rows)


async def insert_staged(tx: Tx, *, has_overflow: bool = False) -> tuple[int, list[PeriodTotal]]:
    """Insert the staged events that are new and add them to buckets and periods, in one statement.

    Returns how many were new, and the totals of every period that is staged.
    """
    rows = (await tx.execute(_INGEST_WITH_OVERFLOW if has_overflow else _INGEST)).all()
    added = next(row.used for row in rows if not row.account_id)
    return added, [PeriodTotal(row.account_id, row.period, row.used, row.settled) for row in rows if row.account_id]


async def list_conflicts(tx: Tx, first: datetime, last: datetime) -> list[EventKey]:
    """Return the staged events, all between these instants, whose id is stored with another content."""
    rows = await tx.execute(_CONFLICTS, {"first": first, "last": last})
    return [(row.account_id, row.request_id) for row in rows]


async def is_conflict(tx: Tx, row: StagedRow) -> bool:
    """Return whether the event of this row is stored with another content."""
    values = dict(zip(STAGED, row, strict=True))
    del values["denial"]  # says more of the same content
    return await tx.get(_IS_CONFLICT, values, returns=bool)


async def update_secret_uses(tx: Tx, uses: Mapping[tuple[str, str], NewestUse]) -> None:
    """Store when secrets were used last. The time never goes back, and an address stays until another one is known."""
    if uses:
        values: dict[str, list[Any]] = {
            "accounts": [account_id for account_id, _ in uses],
            "secrets": [secret_id for _, secret_id in uses],
            "keys": [use.key_id for use in uses.values()],
            "times": [use.at for use in uses.values()],
            "addresses": [use.address for use in uses.values()],
        }
        await tx.execute(_UPSERT_USES, values)


async def list_resource_names(tx: Tx, days: Sequence[AccountDay]) -> dict[AccountDay, list[str]]:
    """Return the names of these days. Days without names are absent."""
    rows = await tx.execute(_NAMES, _day_arrays(days))
    return {(row.account_id, row.day): row.names for row in rows}


async def lock_resource_names(tx: Tx, days: Sequence[AccountDay]) -> dict[AccountDay, list[str]]:
    """Lock every one of the days and return their names, empty lists too."""
    rows = await tx.execute(_LOCK_NAMES, _day_arrays(days))
    return {(row.account_id, row.day): row.names for row in rows}


async def update_resource_names(tx: Tx, names_by_day: Mapping[AccountDay, Sequence[str]]) -> None:
    """Replace the names of days that are locked."""
    for (account_id, day), names in names_by_day.items():
        await tx.execute(_SET_NAMES, {"account": account_id, "day": day, "names": [*names]})


async def insert_rejected(tx: Tx, rejected: Sequence[RejectedRecord]) -> int:
    """Quarantine records and return how many were not there before.

    In portions: a node whose clock is wrong sends nothing else, thousands at once.
    """
    added = 0
    for begin in range(0, len(rejected), REJECTED_BATCH_SIZE):
        portion = rejected[begin : begin + REJECTED_BATCH_SIZE]
        values = {
            "digests": [_digest(reject) for reject in portion],
            "reasons": [reject.reason for reject in portion],
            "details": [reject.detail for reject in portion],
            "accounts": [reject.account_id for reject in portion],
            "requests": [reject.request_id for reject in portion],
            "bodies": [reject.body for reject in portion],
            "now": tx.now,
        }
        added += len(await tx.list(_QUARANTINE, values))
    return added


async def list_quarantined(tx: Tx, limit: int) -> list[Quarantined]:
    """Return the entries of the quarantine, the oldest first."""
    return await tx.list(select(Quarantined).order_by(col(Quarantined.id)).limit(limit))


async def find_quarantined(tx: Tx, number: int) -> Quarantined | None:
    """Return one entry, or None."""
    return await tx.find(select(Quarantined).where(col(Quarantined.id) == number))


async def list_quarantine_numbers(tx: Tx) -> list[int]:
    """Return the numbers of all entries: somebody asked for all of them."""
    return await tx.list(select(col(Quarantined.id)).order_by(col(Quarantined.id)))


async def count_quarantined(tx: Tx) -> int:
    """Count the entries of the quarantine."""
    return await tx.get(select(func.count()).select_from(Quarantined))


async def delete_quarantined(tx: Tx, numbers: Sequence[int] | None) -> int:
    """Delete these entries, or all, for good. Returns how many there were."""
    statement = delete(Quarantined).returning(col(Quarantined.id))
    if numbers is not None:
        statement = statement.where(col(Quarantined.id).in_(numbers))
    return len(await tx.list(statement))


async def delete_expired_quarantined(tx: Tx, before: datetime, limit: int) -> list[tuple[str, str | None]]:
    """Delete the oldest entries from before an instant. Returns reason and account of each."""
    expired = select(col(Quarantined.id)).where(col(Quarantined.quarantined_at) < before)
    oldest = expired.order_by(col(Quarantined.id)).limit(limit)
    statement = delete(Quarantined).where(col(Quarantined.id).in_(oldest))
    result = await tx.execute(statement.returning(col(Quarantined.reason), col(Quarantined.account_id)))
    return [(row.reason, row.account_id) for row in result]


def _digest(reject: RejectedRecord) -> bytes:
    return hashlib.sha256(reject.reason.encode() + b"\0" + reject.body).digest()


def _day_arrays(days: Sequence[AccountDay]) -> dict[str, list[Any]]:
    return {"accounts": [account_id for account_id, _ in days], "days": [day for _, day in days]}
