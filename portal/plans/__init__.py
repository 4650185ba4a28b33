"""The catalogue, subscriptions, and what an account may do (its entitlement).

Owns `plans`, `plan_versions`, `subscriptions`, `plan_choices`, which keeps every choice of a plan, and
`billing_periods`. An account without a choice is on the default plan. Periods are calendar months in the account's time
zone. Never counts anything, which is portal.limits' work, and never prices anything, which is portal.billing's.

    catalogue/              plans, their versions, and who may choose them
    changes/                an account chooses a plan, undoes and withdraws; its history in a period
    entitlement.py          what an account may do, read from the version of its plan
    calendar.py  history.py billing periods with their days; who was on which plan, when: stretches. Pure
    fees.py  bounds.py      what a change of plan costs, and how many units a period has. Pure
    decide_change.py        what a choice of a plan would be: at once, later, or refused. Pure
    periods/                the stored periods of an account, and the choice of its time zone
    rules.py                where a quota is heading
    models.py  store.py     its tables and every statement on them
"""

from portal.plans.bounds import included, quota_bound
from portal.plans.calendar import AccountPeriod, day_of, first_period, month_period, next_period, start_of_day
from portal.plans.catalogue import (
    add_plan_version,
    create_plan,
    ensure_catalogue,
    get_visible_plan,
    list_offered_plans,
    plan_document,
    retire_plan,
    set_tariff,
)
from portal.plans.changes import (
    NOTHING_USED,
    Used,
    chosen_terms,
    load_history,
    load_plans_held,
    load_situation,
    move_account,
    subscribe,
    terms_of,
    undo_plan_upgrade,
    withdraw_plan_change,
)
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
from portal.plans.models import Plan, PlanVersion
from portal.plans.periods import (
    AccountPeriods,
    ChosenTimeZone,
    load_period_at,
    load_period_named,
    load_periods,
    load_periods_near,
    load_periods_of,
    set_time_zone,
    store_periods,
)
from portal.plans.rules import Pace, forecast
from portal.plans.store import (
    AccountPlan,
    PendingPlan,
    get_account_plan,
    get_default_plan,
    get_plan,
    get_plan_at,
    get_plan_called,
    list_all_versions,
    list_choices,
    list_plans,
    list_versions,
    plan_of_version,
    version_at,
)

__all__ = [
    "NOTHING_USED",
    "AccountPeriod",
    "AccountPeriods",
    "AccountPlan",
    "ChangeFee",
    "ChangeKind",
    "ChosenTimeZone",
    "Entitlement",
    "FailurePolicy",
    "Holding",
    "Limit",
    "Pace",
    "PendingPlan",
    "PeriodHistory",
    "Plan",
    "PlanChange",
    "PlanState",
    "PlanTerms",
    "PlanVersion",
    "Situation",
    "Stretch",
    "UndoDecision",
    "Used",
    "add_plan_version",
    "change_fees",
    "chosen_terms",
    "cost_of_change",
    "create_plan",
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
    "first_period",
    "forecast",
    "get_account_plan",
    "get_default_plan",
    "get_plan",
    "get_plan_at",
    "get_plan_called",
    "get_visible_plan",
    "history_of",
    "included",
    "list_all_versions",
    "list_choices",
    "list_offered_plans",
    "list_plans",
    "list_versions",
    "load_history",
    "load_period_at",
    "load_period_named",
    "load_periods",
    "load_periods_near",
    "load_periods_of",
    "load_plans_held",
    "load_situation",
    "month_period",
    "move_account",
    "next_period",
    "plan_document",
    "plan_of_version",
    "quota_bound",
    "retire_plan",
    "set_tariff",
    "set_time_zone",
    "start_of_day",
    "store_periods",
    "stretches_of",
    "subscribe",
    "terms_of",
    "undo_plan_upgrade",
    "undoable_upgrade",
    "version_at",
    "withdraw_plan_change",
]
