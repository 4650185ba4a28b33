"""Load the periods of accounts, and store those that have come.

The current and the next period of every account are stored: by the migration that began to, when an account is
registered for billing, with each period that is billed, and when a zone is chosen. Whatever is not stored yet follows
from what is, so that readers compute it and write nothing.
"""

from collections.abc import Sequence
from datetime import datetime

from portal.accounts import Account
from portal.core.database import Tx
from portal.plans.calendar import AccountPeriod, first_period
from portal.plans.periods import store
from portal.plans.periods.account_periods import CLOCKS_APART, AccountPeriods


async def load_period_at(tx: Tx, account: Account, instant: datetime) -> AccountPeriod:
    """Return the account's period that holds the instant."""
    return (await load_periods(tx, account, instant)).at(instant)


async def load_period_named(tx: Tx, account: Account, name: str) -> AccountPeriod:
    """Return the account's period called YYYY-MM. Raises ValueError for another form."""
    return (await load_periods(tx, account)).named(name)


async def load_periods_near(tx: Tx, account: Account) -> tuple[AccountPeriod, ...]:
    """Return the current period and its neighbours that a process may be in, whose clock is not PostgreSQL's."""
    return (await load_periods(tx, account, tx.now - CLOCKS_APART)).near(tx.now)


async def load_periods(tx: Tx, account: Account, since: datetime | None = None) -> AccountPeriods:
    """Return the periods of an account; with `since` only those that end later may be asked for."""
    return (await load_periods_of(tx, [account], since))[account.id]


async def load_periods_of(
    tx: Tx, accounts: Sequence[Account], since: datetime | None = None
) -> dict[str, AccountPeriods]:
    """Return the same of each of these accounts."""
    stored = await store.list_periods(tx, [account.id for account in accounts], since)
    return {
        account.id: AccountPeriods(stored.get(account.id) or (first_period(tx.now, account.time_zone),))
        for account in accounts
    }


async def store_periods(tx: Tx, accounts: Sequence[Account]) -> dict[str, AccountPeriods]:
    """Store the current and the next period of accounts, with all between the last stored one and these.

    The accounts are locked by the caller: a zone that is chosen meanwhile waits. A chosen zone whose period has begun
    becomes the account's. Returns their periods.
    """
    stored = await store.list_periods(tx, [account.id for account in accounts], None)
    found, missing = {}, {}
    for account in accounts:
        known = stored.get(account.id, ())
        periods = AccountPeriods(known or (first_period(tx.now, account.time_zone),))
        missing[account.id] = _missing(known, periods, tx.now)
        found[account.id] = AccountPeriods((*known, *missing[account.id]))
        if account.next_time_zone_from is not None and account.next_time_zone_from <= tx.now:
            account.time_zone = account.time_zone_at(tx.now)
            account.next_time_zone = account.next_time_zone_from = None
    await store.insert_periods(tx, missing)
    await tx.flush()
    return found


def _missing(known: Sequence[AccountPeriod], periods: AccountPeriods, now: datetime) -> tuple[AccountPeriod, ...]:
    """Return the periods to store, in order: after the last known one, to the one after the current."""
    current, following = periods.around(now)
    if not known:
        return current, following
    found = []
    last = known[-1]
    while last.name < following.name:
        last = periods.after(last)
        found.append(last)
    return tuple(found)
