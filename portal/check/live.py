"""Where limits and quota stand this moment: a look at the counters that decide, which takes nothing from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from portal.check.policy.compile import NamedLimit, compile_rules, own_limits
from portal.core.clock import to_microseconds
from portal.keys import Key, overrides_of, with_overrides
from portal.limits import Limiter, LimitRequest, LimitsUnavailable, Mode, Quota, Status
from portal.plans import Limit, Period

ANY_VERSION = 2**53 - 1
"""Newer than every policy, so that a look at the account's record is never sent back for being stale."""


@dataclass(frozen=True, slots=True)
class LiveLimit:
    """`remaining` units pass now; `reset_ms`: until the oldest counted unit is free again, 0 when none is counted."""

    name: str
    amount: int
    window_ms: int
    resource: str | None
    remaining: int
    reset_ms: int


async def look_at_limits(
    limiter: Limiter, key: Key, plan_limits: Sequence[Limit], now: datetime
) -> list[LiveLimit] | None:
    """Every limit of the key, its plan's with its overrides and its own; None while Redis does not answer."""
    held = with_overrides(plan_limits, overrides_of(key, now))
    rules = compile_rules(key, [*held, *own_limits(key)])
    subjects = tuple(rule.subject for rule in rules)
    asked = LimitRequest(key.account_id, 0, Mode.LOOK, 0, subjects, None)
    try:
        decision = await limiter.decide_one(asked)
    except LimitsUnavailable:
        return None
    if decision.status not in (Status.ADMITTED, Status.RATE_LIMITED):
        return None
    named = [(limit, rule.resource) for rule in rules for limit in rule.limits]
    return [
        _live(limit, resource, state.used, state.reset_us)
        for (limit, resource), state in zip(named, decision.states, strict=True)
    ]


async def look_at_used(limiter: Limiter, account_id: str, period: Period) -> int | None:
    """Units of the period as checks count them; None while Redis does not answer or has not counted any yet."""
    known = Quota(-1, ((period.name, to_microseconds(period.start), to_microseconds(period.end)),))
    try:
        decision = await limiter.decide_one(LimitRequest(account_id, ANY_VERSION, Mode.LOOK, 0, (), known))
    except LimitsUnavailable:
        return None
    return decision.used if decision.status is Status.ADMITTED else None


def _live(limit: NamedLimit, resource: str | None, used: int, reset_us: int) -> LiveLimit:
    remaining = max(0, limit.amount - used)
    return LiveLimit(limit.name, limit.amount, limit.window_ms, resource, remaining, -(-reset_us // 1000))
