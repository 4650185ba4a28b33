"""Billing periods of accounts, stored with their zone and ends, and the choice of another zone. For portal.plans only.

account_periods.py  find a period by instant or name among the stored ones and what follows from them. Pure
load_periods.py     load them; store those that have come
set_time_zone.py    the verb: another zone from the next period on
store.py            every statement on `billing_periods`
"""

from portal.plans.periods.account_periods import AccountPeriods
from portal.plans.periods.load_periods import (
    load_period_at,
    load_period_named,
    load_periods,
    load_periods_near,
    load_periods_of,
    store_periods,
)
from portal.plans.periods.set_time_zone import ChosenTimeZone, set_time_zone

__all__ = [
    "AccountPeriods",
    "ChosenTimeZone",
    "load_period_at",
    "load_period_named",
    "load_periods",
    "load_periods_near",
    "load_periods_of",
    "set_time_zone",
    "store_periods",
]
