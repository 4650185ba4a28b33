"""The catalogue, subscriptions, and what an account may do (its entitlement).

Owns `plans`, `subscriptions` and `plan_choices`, which keeps every choice of a plan. An account without one is on the
default plan. Periods are calendar months in the account's time zone. Never counts anything, which is portal.limits'
work, and never prices anything, which is portal.billing's.

    subscribe.py  set_tariff.py     the verbs
    entitlement.py                  what an account may do, read from its plan
    rules.py                        billing periods, and where a quota is heading
    starter_catalogue.py            the plans that a new installation starts with
    models.py  store.py             its tables and every statement on them
"""

from portal.plans.entitlement import Entitlement, FailurePolicy, Limit, entitlement_from, entitlement_of
from portal.plans.models import Plan
from portal.plans.rules import Pace, Period, forecast, period_named, periods_around, periods_near
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
    "Limit",
    "Pace",
    "Period",
    "Plan",
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
