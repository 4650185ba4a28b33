"""The catalogue, the account's plan and its quota."""

from portal.core.actor import Actor, Role
from tests.conftest import MakeAccount
from tests.graphql.conftest import Answer

PLANS = (
    "{ plans { slug price { amount currency } monthlyQuota isDefault limits { name amount windowMs per algorithm } } }"
)
QUOTA = "{ quota { limit used remaining isOverageAllowed periodStart periodEnd } }"


async def test_the_catalogue(answer: Answer, viewer: Actor) -> None:
    plans = {plan["slug"]: plan for plan in (await answer(viewer, PLANS))["plans"]}
    free, pro = plans["free"], plans["pro"]
    assert (free["slug"], free["isDefault"], free["monthlyQuota"]) == ("free", True, 10_000)
    assert pro["price"] == {"amount": "49.00", "currency": "EUR"}
    assert free["limits"][0] == {
        "name": "burst",
        "amount": 10,
        "windowMs": 1000,
        "per": "key",
        "algorithm": "sliding_window",
    }


async def test_an_account_without_a_subscription_is_on_the_default_plan(
    answer: Answer, owner: Actor, make_account: MakeAccount
) -> None:
    document = "{ subscription { startedAt plan { slug } } }"
    assert (await answer(owner, document))["subscription"] == {"startedAt": None, "plan": {"slug": "free"}}
    pro = (await answer(await make_account(plan="pro"), document))["subscription"]
    assert pro["plan"] == {"slug": "pro"}
    assert pro["startedAt"]


async def test_a_month_without_use_costs_the_price(answer: Answer, owner: Actor) -> None:
    document = "{ previewPlanChanges { plan { slug } monthAtPace { units denied cost { amount currency } } } }"
    months = {one["plan"]["slug"]: one["monthAtPace"] for one in (await answer(owner, document))["previewPlanChanges"]}
    assert months["free"] == {"units": 0, "denied": 0, "cost": {"amount": "0.00", "currency": "EUR"}}
    assert months["pro"]["cost"] == {"amount": "49.00", "currency": "EUR"}


async def test_quota(answer: Answer, owner: Actor, make_account: MakeAccount) -> None:
    quota = (await answer(owner, QUOTA))["quota"]
    assert (quota["limit"], quota["used"], quota["remaining"], quota["isOverageAllowed"]) == (10_000, 0, 10_000, False)
    assert quota["periodStart"] < quota["periodEnd"]
    pro = (await answer(await make_account(plan="pro", role=Role.VIEWER), QUOTA))["quota"]
    assert (pro["limit"], pro["isOverageAllowed"]) == (1_000_000, True)
