"""The catalogue, subscriptions, and what an account may do (its entitlement).

Owns `plans`, `subscriptions` and `plan_choices`, which keeps every choice of a plan. An account without one is on the
default plan. Periods are calendar months in the account's time zone. Never counts anything, which is portal.limits'
work, and never prices anything, which is portal.billing's.
"""

from portal.plans.entitlement import Entitlement, FailurePolicy, Limit, entitlement_from, entitlement_of
from portal.plans.models import Plan, PlanChoice, Subscription
from portal.plans.rules import Forecast, Pace, Period, forecast, period_named, periods_around, periods_near
from portal.plans.set_tariff import set_tariff
from portal.plans.starter_catalogue import ensure_catalogue
from portal.plans.store import (
    find_subscription,
    get_default_plan,
    get_plan,
    get_plan_called,
    get_plan_of,
    list_choices,
    list_plans,
)
from portal.plans.subscribe import subscribe

__all__ = [
    "Entitlement",
    "FailurePolicy",
    "Forecast",
    "Limit",
    "Pace",
    "Period",
    "Plan",
    "PlanChoice",
    "Subscription",
    "ensure_catalogue",
    "entitlement_from",
    "entitlement_of",
    "find_subscription",
    "forecast",
    "get_default_plan",
    "get_plan",
    "get_plan_called",
    "get_plan_of",
    "list_choices",
    "list_plans",
    "period_named",
    "periods_around",
    "periods_near",
    "set_tariff",
    "subscribe",
]
