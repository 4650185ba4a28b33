"""Billing periods: what an account has used in one, settling a check's cost, closing the period, late usage.

settle.py  replace the reserved cost of a check, once, within ten minutes
store.py   units of a period, closing it, how much of it is billed; the statements of settling
"""

from portal.usage.periods.settle import Settlement, settle_usage
from portal.usage.periods.store import (
    ClosedPeriod,
    billable_units,
    close_period,
    list_closed_in,
    list_closed_periods,
    mark_late_usage_billed,
    used_in_period,
)

__all__ = [
    "ClosedPeriod",
    "Settlement",
    "billable_units",
    "close_period",
    "list_closed_in",
    "list_closed_periods",
    "mark_late_usage_billed",
    "settle_usage",
    "used_in_period",
]
