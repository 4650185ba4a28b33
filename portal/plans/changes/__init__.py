"""Which plan an account is on: choosing, undoing, withdrawing, moving; and what was chosen, as stored.

A choice is decided by `decide_change`, from the account's history in the current period, while its row is locked. What
waits for the next period is part of the newest choice, and in force from its instant on: nothing has to run then.

    subscribe.py  undo_plan_upgrade.py  withdraw_plan_change.py  move_account.py    the verbs
    keep_change.py        lock an account for a choice, store it
    load_history.py       what an account chose, in a period or since its opening
    read_choices.py       stored choices as changes. Pure
"""

from portal.plans.changes.keep_change import NOTHING_USED, Used, load_situation
from portal.plans.changes.load_history import load_history, load_plans_held, terms_of
from portal.plans.changes.move_account import move_account
from portal.plans.changes.subscribe import chosen_terms, subscribe
from portal.plans.changes.undo_plan_upgrade import undo_plan_upgrade
from portal.plans.changes.withdraw_plan_change import withdraw_plan_change

__all__ = [
    "NOTHING_USED",
    "Used",
    "chosen_terms",
    "load_history",
    "load_plans_held",
    "load_situation",
    "move_account",
    "subscribe",
    "terms_of",
    "undo_plan_upgrade",
    "withdraw_plan_change",
]
