"""The catalogue, subscriptions, and what an account may do (its entitlement).

Owns `plans`, `subscriptions` and `plan_choices`, which keeps every choice of a plan. An account without one is on the
default plan. Periods are calendar months in the account's time zone. Never counts anything, which is portal.limits'
work, and never prices anything, which is portal.billing's.

    subscribe.py  set_tariff.py     the verbs
    entitlement.py                  what an account may do, read from its plan
    calendar.py  history.py         billing periods with their days; who was on which plan, when: stretches. Pure
    fees.py  bounds.py              what a change of plan costs, and how many units a period has. Pure
    decide_change.py                what a choice of a plan would be: at once, later, or refused. Pure
    rules.py                        billing periods, and where a quota is heading
    starter_catalogue.py            the plans that a new installation starts with
    models.py  store.py             its tables and every statement on them
"""

from portal.plans.bounds import included, quota_bound
from portal.plans.calendar import AccountPeriod, day_of, first_period, month_period, next_period, start_of_day
from portal.plans.decide_change import (
    Situation,
    UndoDecision,
    decide_choice,
    decide_move,
    decide_undo,
    decide_withdrawal,
    undoable_upgrade,
)
from portal.plans.entitlement import Entitlement, FailurePolicy, Limit, entitlement_from, entitlement_of
from portal.plans.fees import ChangeFee, change_fees, cost_of_change, fee_ahead, fees_so_far
from portal.plans.history import (
    ChangeKind,
    Holding,
    PeriodHistory,
    PlanChange,
    PlanState,
    PlanTerms,
    Stretch,
    history_of,
    stretches_of,
)
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
    "AccountPeriod",
    "ChangeFee",
    "ChangeKind",
    "Entitlement",
    "FailurePolicy",
    "Holding",
    "Limit",
    "Pace",
    "Period",
    "PeriodHistory",
    "Plan",
    "PlanChange",
    "PlanState",
    "PlanTerms",
    "Situation",
    "Stretch",
    "UndoDecision",
    "change_fees",
    "cost_of_change",
    "day_of",
    "decide_choice",
    "decide_move",
    "decide_undo",
    "decide_withdrawal",
    "ensure_catalogue",
    "entitlement_from",
    "entitlement_of",
    "fee_ahead",
    "fees_so_far",
    "find_subscription",
    "first_period",
    "forecast",
    "get_default_plan",
    "get_plan",
    "get_plan_called",
    "get_plan_of",
    "history_of",
    "included",
    "list_choices",
    "list_plans",
    "month_period",
    "next_period",
    "period_named",
    "periods_around",
    "periods_near",
    "quota_bound",
    "set_tariff",
    "start_of_day",
    "stretches_of",
    "subscribe",
    "undoable_upgrade",
]
