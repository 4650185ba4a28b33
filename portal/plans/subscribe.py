"""Put an account on a plan, from now on."""

from portal import audit
from portal.accounts import bump_policy_version
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.core.errors import Conflict
from portal.plans import store
from portal.plans.catalogue import check_may_choose
from portal.plans.models import Plan, Subscription

SUBSCRIBE = audit.Action("plan.subscribe", "switched to the plan")


@requires(Permission.PLAN_WRITE)
async def subscribe(tx: Tx, actor: Actor, plan_id: str) -> Subscription:
    """Put the account on the newest version of a plan. Idempotent for the plan that it is on.

    Raises Forbidden, NotFound, Conflict.
    """
    plan = await store.get_plan(tx, plan_id)
    subscription = await store.find_subscription(tx, actor.account_id)
    if subscription is not None and subscription.plan_id == plan.id:
        return subscription
    check_may_choose(actor, plan)
    await _check_currency(tx, actor.account_id, plan)
    subscription = await store.upsert_subscription(tx, actor.account_id, plan)
    await audit.record(tx, actor, SUBSCRIBE, actor.account_id, plan=plan.slug, version=plan.version)
    await bump_policy_version(tx, actor.account_id)
    return subscription


async def _check_currency(tx: Tx, account_id: str, plan: Plan) -> None:
    """Refuse another currency: an invoice has one, and credits what was charged ahead. Raises Conflict."""
    current = (await store.get_account_plan(tx, account_id)).plan
    if plan.currency != current.currency:
        raise Conflict(
            f"{plan.name} is priced in {plan.currency}, and this account is billed in {current.currency}.",
            hint=f"Choose a plan in {current.currency}, or open another account.",
            path=("planId",),
        )
