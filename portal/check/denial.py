"""What a denied check lacked. Worked out here once: answer, headers, explain, request log and texts all tell this."""

from collections.abc import Sequence
from math import inf

from portal.check.degraded import retry_after_ms
from portal.check.policy import KeyPolicy, NamedLimit
from portal.check.request import CheckRequest
from portal.check.response import CheckOutcome
from portal.check.rules import Code, missing_scopes
from portal.limits import ADMITS, NEVER, Decision, Quota, Status
from portal.usage import MAX_DENIED_LIMITS, MAX_DENIED_SCOPES, QUOTA, Denial, DeniedLimit


def denied_limits(
    limits: Sequence[NamedLimit], decision: Decision, quota: Quota | None, cost: int
) -> tuple[DeniedLimit, ...]:
    """Return what has no room for the cost, the longest wait first and what can never pass before it.

    `limits` in the order of the decision's states. Waits are rounded up to the millisecond.
    """
    denied, is_sorted, last_us = [], True, inf
    for limit, state in zip(limits, decision.states, strict=True):
        wait_us = state.retry_us
        if wait_us != ADMITS:
            wait_ms = None if wait_us == NEVER else -(-wait_us // 1000)
            if wait_ms is None or wait_us > last_us:
                is_sorted = False
            last_us = wait_us
            denied.append(DeniedLimit(limit.name, limit.amount, state.used, limit.window_ms, wait_ms))
    if quota is not None and decision.period >= 0 and 0 <= quota.amount < decision.used + cost:
        to_end_us = quota.periods[decision.period][2] - decision.now_us
        wait_ms = None if cost > quota.amount else -(-to_end_us // 1000)
        denied.append(DeniedLimit(QUOTA, quota.amount, decision.used, 0, wait_ms))
        is_sorted = False
    if not is_sorted:
        denied.sort(key=_wait, reverse=True)
    return tuple(denied)


def degraded_limits(limits: Sequence[NamedLimit], decision: Decision, quota: Quota | None) -> tuple[DeniedLimit, ...]:
    """Return the limits whose part of this process had no room; all wait alike, for a Redis that may be back."""
    wait_ms = retry_after_ms(decision)
    if decision.status is Status.QUOTA_EXCEEDED and quota is not None:
        return (DeniedLimit(QUOTA, quota.amount, None, 0, wait_ms),)
    return tuple(
        [
            DeniedLimit(limit.name, limit.amount, None, limit.window_ms, wait_ms)
            for limit, state in zip(limits, decision.states, strict=True)
            if state.retry_us != ADMITS
        ]
    )


def denial_of(
    code: Code, policy: KeyPolicy, request: CheckRequest, now_us: int, limits: tuple[DeniedLimit, ...] = ()
) -> Denial | None:
    """Return what there is to say beyond the code; None: nothing."""
    address = request.ip or ""
    if limits:
        return Denial(limits[:MAX_DENIED_LIMITS], (), (), address)
    if code is Code.INSUFFICIENT_SCOPE:
        missing = tuple(missing_scopes(policy.scopes, request.scopes)[:MAX_DENIED_SCOPES])
        return Denial((), missing, policy.scopes[:MAX_DENIED_SCOPES], address)
    if code is Code.EXPIRED:
        is_key = policy.expires_us is not None and now_us >= policy.expires_us
        return Denial((), (), (), address, "key" if is_key else "secret")
    if address or code is Code.IP_NOT_ALLOWED:
        return Denial((), (), (), address)
    return None


def add_denial(outcome: CheckOutcome, denial: Denial | None) -> None:
    """Tell a denial in the response too: which limits deny, and how long to wait (None: the cost can never pass)."""
    outcome.denial = denial
    if denial is not None and denial.limits:
        outcome.response.violated_policies = [limit.name for limit in denial.limits]
        outcome.response.retry_after_ms = denial.retry_ms


def _wait(limit: DeniedLimit) -> float:
    return inf if limit.retry_ms is None else limit.retry_ms
