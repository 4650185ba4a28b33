"""The account's counters as of now, in one transaction of the account."""

from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from portal import accounts, plans, usage
from portal.core.database import Database
from portal.core.ids import AccountId


@dataclass(frozen=True, slots=True)
class UsageSnapshot:
    """Counters of the account's current day and of its billing month. `at` is when they were read."""

    at: datetime
    day_start: datetime
    calls: int
    units: int
    denied: int
    quota_limit: int | None
    quota_used: int

    def is_like(self, other: "UsageSnapshot | None") -> bool:
        return other is not None and replace(self, at=other.at) == other


async def load_snapshot(database: Database, account_id: AccountId) -> UsageSnapshot:
    """Return the account's counters as of now. Raises what the database raises."""
    async with database.transaction(account_id) as tx:
        account = await accounts.get_account(tx, account_id)
        entitlement = await plans.entitlement_of(tx, account_id)
        period = await plans.load_period_at(tx, account, tx.now)
        used = await usage.used_in_period(tx, account_id, period.name)
        day_start = tx.now.astimezone(ZoneInfo(period.time_zone)).replace(hour=0, minute=0, second=0, microsecond=0)
        query = usage.UsageQuery(start=day_start, end=tx.now, granularity=usage.Granularity.HOUR)
        today = (await usage.usage_series(tx, account_id, query)).totals
        return UsageSnapshot(tx.now, day_start, today.calls, today.units, today.denied, entitlement.quota, used)
