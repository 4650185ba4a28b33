"""Put an account on a plan, from now on."""

from portal import audit
from portal.accounts import bump_policy_version
from portal.core.actor import Actor, Permission
from portal.core.database import Tx
from portal.plans import store
from portal.plans.models import Subscription


async def subscribe(tx: Tx, actor: Actor, plan_id: str) -> Subscription:
    """Idempotent for the plan that the account is on. Raises Forbidden, NotFound."""
    actor.require(Permission.PLAN_WRITE)
    plan = await store.get_plan(tx, plan_id)
    subscription = await store.find_subscription(tx, actor.account_id)
    if subscription is not None and subscription.plan_id == plan.id:
        return subscription
    subscription = await store.upsert_subscription(tx, actor.account_id, plan.id)
    await audit.record(tx, actor, "plan.subscribe", actor.account_id, plan=plan.slug)
    await bump_policy_version(tx, actor.account_id)
    return subscription
