"""Audit usage: raw events, minutes, quarter-hours, days and billing periods must say the same, external usage too.

Neighbours are compared bucket by bucket, the finer added up to the size of the coarser, as far back as retention keeps
both. Everything is read in the caller's snapshot: a batch is counted in one transaction, so usage that comes in
meanwhile is there in all ledgers or in none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from portal.core.database import Tx
from portal.core.errors import Invalid
from portal.usage.audit import store
from portal.usage.audit.store import DAYS, MINUTES, QUARTERS, RAW, Ledger
from portal.usage.retention import Retention, oldest_kept
from portal.usage.rules import month_of, months_from

MAX_DIFFERENCES = 1000
"""Of one account, month and pair of ledgers."""
ZONE_MARGIN = timedelta(days=2)
"""A month of any time zone, and of a policy that was cached when it ended, lies within this of the one in UTC."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`ledger` says `found` where `against` says `expected`. `day` and `key_id` are empty where a period is meant."""

    account_id: str
    key_id: str
    day: str
    ledger: str
    against: str
    measure: str
    expected: int
    found: int
    first_at: datetime | None = None


def list_months_to_audit(now: datetime, retention: Retention) -> list[datetime]:
    """Return the months from the current one back to the oldest that two ledgers keep, the newest first."""
    months = [*retention.by_table().values()]
    deepest = sorted(months)[-2]
    return [months_from(month_of(now), -back) for back in range(deepest + 1)]


def parse_month(period: str) -> datetime:
    """Return the first instant of the month YYYY-MM. Raises Invalid."""
    try:
        return datetime.strptime(period, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise Invalid(f"{period[:20]!r} is no period.", hint="Write it like 2026-11.", path=("period",)) from None


async def list_accounts_to_audit(tx: Tx, month: datetime, *, after: str, most: int) -> list[str]:
    """Return the next `most` accounts by id, after one, that have anything to compare in a month."""
    return await store.list_accounts_with_usage(
        tx, f"{month:%Y-%m}", month, months_from(month, 1), after=after, most=most
    )


async def audit_accounts(tx: Tx, account_ids: Sequence[str], month: datetime, retention: Retention) -> list[Difference]:
    """Return the differences of some accounts and a month, a comparison after the other, each by account and day.

    At most MAX_DIFFERENCES of an account and comparison.
    """
    ledgers = ledgers_with(month, tx.now, retention)
    differences: list[Difference] = []
    for finer, coarser in pairwise(ledgers):
        differences += await _compare(tx, account_ids, finer, coarser, month)
    if RAW in ledgers:
        differences += await _missing_external(tx, account_ids, month)
        if oldest_kept(tx.now, retention.raw) <= months_from(month, -1):
            differences += await _compare_period(tx, account_ids, month)
    return differences


def ledgers_with(month: datetime, now: datetime, retention: Retention) -> list[Ledger]:
    """Return the ledgers that still have the month, from the finest to the coarsest."""
    months = retention.by_table()
    return [ledger for ledger in (RAW, MINUTES, QUARTERS, DAYS) if month >= oldest_kept(now, months[ledger.table])]


async def _compare(
    tx: Tx, account_ids: Sequence[str], finer: Ledger, coarser: Ledger, month: datetime
) -> list[Difference]:
    end = months_from(month, 1)
    rows = await store.list_differences(tx, account_ids, finer, coarser, month, end, MAX_DIFFERENCES)
    differences = []
    for row in rows:
        figures = [("calls", row.finer_calls, row.coarser_calls), ("units", row.finer_units, row.coarser_units)]
        # Where sums of the day agree, what is in one of its buckets is missing in another.
        different = [figure for figure in figures if figure[1] != figure[2]] or figures[:1]
        for measure, expected, counted in different:
            where = (row.account_id, row.key_id, f"{row.day:%Y-%m-%d}", coarser.name, finer.name)
            differences.append(Difference(*where, measure, expected, counted, row.first))
    return differences


async def _compare_period(tx: Tx, account_ids: Sequence[str], month: datetime) -> list[Difference]:
    start, end = month - ZONE_MARGIN, months_from(month, 1) + ZONE_MARGIN
    period = f"{month:%Y-%m}"
    rows = await store.list_period_differences(tx, account_ids, period, start, end)
    where = f"period {period}", "events", "billable units"
    return [Difference(row.account_id, "", "", *where, row.events, row.counted) for row in rows]


async def _missing_external(tx: Tx, account_ids: Sequence[str], month: datetime) -> list[Difference]:
    rows = await store.list_missing_external(tx, account_ids, month, months_from(month, 1), MAX_DIFFERENCES)
    what = "events", "external ids", "events"
    return [Difference(row.account_id, "", f"{row.day:%Y-%m-%d}", *what, row.known, 0, row.first) for row in rows]
