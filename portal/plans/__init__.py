"""The catalogue, subscriptions, and what an account may do (its entitlement).

Owns `plans` and `subscriptions`. An account without a subscription is on the default plan. Periods are calendar months
in the account's time zone. Never counts anything: counting is portal.limits' work.
"""

from portal.plans.entitlement import Entitlement, FailurePolicy, Limit, entitlement_from, entitlement_of
from portal.plans.models import Plan, Subscription
from portal.plans.rules import Forecast, Pace, Period, forecast, periods_around, periods_near
from portal.plans.starter_catalogue import ensure_catalogue
from portal.plans.store import find_subscription, get_default_plan, get_plan, list_plans
from portal.plans.subscribe import subscribe

__all__ = [
    "Entitlement",
    "FailurePolicy",
    "Forecast",
    "Limit",
    "Pace",
    "Period",
    "Plan",
    "Subscription",
    "ensure_catalogue",
    "entitlement_from",
    "entitlement_of",
    "find_subscription",
    "forecast",
    "get_default_plan",
    "get_plan",
    "list_plans",
    "periods_around",
    "periods_near",
    "subscribe",
]
