"""The current state of limits and quota, read from the counters that decide, without consuming anything."""

from collections.abc import Sequence
from datetime import datetime

from portal.accounts import Account
from portal.check.policy import NamedLimit, compile_rules
from portal.check.response import LimitAnswer
from portal.core.clock import to_microseconds
from portal.core.database import Tx
from portal.keys import Key, overrides_of, own_limits, with_overrides
from portal.limits import Limiter, LimitRequest, LimitState, LimitsUnavailable, Mode, Quota, Status
from portal.plans import AccountPeriod, Limit, Used, load_period_at
from portal.usage import billable_units, used_in_period

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


async def load_used(tx: Tx, account: Account, limiter: Limiter | None) -> Used:
    """Return what the account used in its period and today: as checks count it, so with what is not ingested yet."""
    period = await load_period_at(tx, account, tx.now)
    ingested = await used_in_period(tx, account.id, period.name)
    today = await billable_units(tx, account.id, period.start_of(period.day_number(tx.now)), period.end)
    live = None if limiter is None else await load_live_used(limiter, account.id, period)
    waiting = max(0, (live or 0) - ingested)
    return Used(ingested + waiting, today + waiting)


def _live(limit: NamedLimit, resource: str | None, state: LimitState) -> LimitAnswer:
    remaining, reset_ms = max(0, limit.amount - state.used), -(-state.reset_us // 1000)
    return LimitAnswer(limit.name, limit.amount, remaining, reset_ms, limit.window_ms, resource)
