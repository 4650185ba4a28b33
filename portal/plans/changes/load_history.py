"""Load what an account chose: the history of a period, which fees, shares, bounds and decisions are computed from."""

from datetime import timedelta

from portal.accounts import Account, get_account
from portal.core.database import Tx
from portal.plans import store
from portal.plans.calendar import AccountPeriod
from portal.plans.changes.read_choices import changes_of, history_in, plans_held
from portal.plans.history import ChangeKind, Holding, PeriodHistory, PlanChange, PlanTerms
from portal.plans.models import Plan

MOMENT = timedelta(microseconds=1)


def terms_of(plan: Plan) -> PlanTerms:
    """Return what billing needs of a plan in its version."""
    return PlanTerms(
        plan_id=plan.id,
        version=plan.version,
        rank=plan.rank or 0,
        name=plan.name,
        price=plan.price,
        currency=plan.currency,
        quota=plan.monthly_quota,
        is_overage_allowed=plan.is_overage_allowed,
        tariff=plan.tariff,
    )


async def load_history(tx: Tx, account_id: str, period: AccountPeriod) -> PeriodHistory:
    """Return which plans an account was on in a period, and what was chosen within it."""
    return history_in(period, await load_changes(tx, await get_account(tx, account_id)))


async def load_plans_held(tx: Tx, account_id: str) -> list[Holding]:
    """Return every plan that an account has held, in order, none that was undone; then the one that waits."""
    held, waiting = plans_held(await load_changes(tx, await get_account(tx, account_id)))
    return held if waiting is None else [*held, waiting]


async def load_changes(tx: Tx, account: Account) -> list[PlanChange]:
    """Return all changes of an account in order; the first is its opening, on the default plan."""
    choices = await store.list_choices(tx, account.id)
    first = await store.get_first_plan(tx, account.id)
    opened_at = min([account.created_at, *[choice.chosen_at - MOMENT for choice in choices[:1]]])
    opening = PlanChange(opened_at, ChangeKind.OPENING, terms_of(first), 0, opened_at)
    terms = {opening.terms.key: opening.terms}

    async def terms_at(plan_id: str, version: int) -> PlanTerms:
        key = plan_id, version
        if key not in terms:
            terms[key] = terms_of(await store.get_plan_at(tx, *key))
        return terms[key]

    found = []
    for choice in choices:
        version = choice.version or await store.version_at(tx, choice.plan_id, choice.chosen_at)
        following = None
        if choice.next_plan_id is not None and choice.next_version is not None:
            following = await terms_at(choice.next_plan_id, choice.next_version)
        found.append((choice, await terms_at(choice.plan_id, version), following))
    return changes_of(opening, found)
