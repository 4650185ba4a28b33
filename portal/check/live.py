"""The current state of limits and quota, read from the counters that decide, without consuming anything."""

from collections.abc import Sequence
from datetime import datetime

from portal.check.policy import NamedLimit, compile_rules
from portal.check.response import LimitAnswer
from portal.core.clock import to_microseconds
from portal.keys import Key, overrides_of, own_limits, with_overrides
from portal.limits import Limiter, LimitRequest, LimitState, LimitsUnavailable, Mode, Quota, Status
from portal.plans import AccountPeriod, Limit

ANY_VERSION = 2**53 - 1
"""Newer than every policy, so that a look at the account's record is never sent back for being stale."""


async def load_live_limits(
    limiter: Limiter, key: Key, plan_limits: Sequence[Limit], now: datetime
) -> list[LimitAnswer] | None:
    """Return every limit of the key, its plan's with its overrides and its own; None while Redis does not answer."""
    in_force = with_overrides(plan_limits, overrides_of(key, now))
    rules = compile_rules(key, [*in_force, *own_limits(key)])
    subjects = tuple(rule.subject for rule in rules)
    request = LimitRequest(key.account_id, 0, Mode.LOOK, 0, subjects, None)
    try:
        decision = await limiter.decide_one(request)
    except LimitsUnavailable:
        return None
    if decision.status not in (Status.ADMITTED, Status.RATE_LIMITED):
        return None
    limits = [(limit, rule.resource) for rule in rules for limit in rule.limits]
    return [_live(limit, resource, state) for (limit, resource), state in zip(limits, decision.states, strict=True)]


async def load_live_used(limiter: Limiter, account_id: str, period: AccountPeriod) -> int | None:
    """Return the period's units as checks count them; None while Redis does not answer or has not counted any yet."""
    quota = Quota(-1, ((period.name, to_microseconds(period.start), to_microseconds(period.end)),))
    try:
        decision = await limiter.decide_one(LimitRequest(account_id, ANY_VERSION, Mode.LOOK, 0, (), quota))
    except LimitsUnavailable:
        return None
    return decision.used if decision.status is Status.ADMITTED else None


def _live(limit: NamedLimit, resource: str | None, state: LimitState) -> LimitAnswer:
    remaining, reset_ms = max(0, limit.amount - state.used), -(-state.reset_us // 1000)
    return LimitAnswer(limit.name, limit.amount, remaining, reset_ms, limit.window_ms, resource)
