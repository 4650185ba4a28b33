"""What an account may do, read from its plan."""

from dataclasses import dataclass
from typing import Literal

from portal.core.database import Tx
from portal.plans import store
from portal.plans.models import Plan

FailurePolicy = Literal["open", "closed", "local"]
"""How checks are answered while Redis is away: all admitted, none decided, or a part of each limit admitted."""
FAILURE_POLICIES: dict[str, FailurePolicy] = {"open": "open", "closed": "closed", "local": "local"}


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `amount` units in any `window_ms`, counted for each key or for the whole account.

    A token_bucket holds `burst` units (None: `amount`) and gains `amount` each `window_ms`. With `resource` the limit
    is for matching resources only, counted apart; a `*` at its end stands for anything.
    """

    name: str
    amount: int
    window_ms: int
    algorithm: Literal["sliding_window", "token_bucket"] = "sliding_window"
    per: Literal["key", "account"] = "key"
    burst: int | None = None
    resource: str | None = None

    @property
    def capacity(self) -> int:
        """The most that can pass at once."""
        return self.amount if self.burst is None else self.burst


@dataclass(frozen=True, slots=True)
class Entitlement:
    """`quota` None: unlimited. With `is_overage_allowed` the quota is counted and never denies."""

    plan_id: str
    limits: tuple[Limit, ...]
    quota: int | None
    is_overage_allowed: bool
    failure_policy: FailurePolicy


async def entitlement_of(tx: Tx, account_id: str) -> Entitlement:
    """Return what an account may do by the version of its plan that it is on."""
    return entitlement_from((await store.get_account_plan(tx, account_id)).plan)


def entitlement_from(plan: Plan) -> Entitlement:
    return Entitlement(
        plan_id=plan.id,
        limits=tuple(Limit(**entry) for entry in plan.limits),
        quota=plan.monthly_quota,
        is_overage_allowed=plan.is_overage_allowed,
        failure_policy=FAILURE_POLICIES.get(plan.failure_policy, "open"),
    )
