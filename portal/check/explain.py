"""Explain: what a check would answer and why, without being one. Never valid, so that it is no free pass."""

from collections.abc import Mapping
from typing import Any

from portal.check.denial import add_denial, denial_of, denied_limits
from portal.check.policy import KeyPolicy, PreparedPolicy
from portal.check.reasons import reason_of
from portal.check.request import CheckRequest
from portal.check.response import CheckOutcome, Explanation, add_limits, build_response, code_of, format_instant
from portal.check.rules import Code, missing_scopes, pre_checks
from portal.limits import Decision
from portal.usage import QUOTA, Denial, DeniedLimit


def explain(prepared: PreparedPolicy, request: CheckRequest, decision: Decision, request_id: str) -> CheckOutcome:
    """Return every rule with its state, and the instant at which the check would pass. `decision` comes from a LOOK."""
    policy = prepared.policy
    before = pre_checks(policy, request, decision.now_us)
    code = next((code for code, is_denied in before if is_denied), code_of(decision.status))
    response = build_response(policy, Code.EXPLAINED, request_id)
    outcome = CheckOutcome(response, prepared, decision)
    add_limits(outcome, 0)
    limits = denied_limits(prepared.limits, decision, policy.quota, request.cost)
    # What limits add to an earlier denial is in `rules`: the check would not come to them.
    is_by_limits = code in (Code.RATE_LIMITED, Code.QUOTA_EXCEEDED)
    is_denied = code is not Code.VALID
    denial = denial_of(code, policy, request, decision.now_us, limits if is_by_limits else ()) if is_denied else None
    add_denial(outcome, denial)
    response.retry_after_ms = None
    rules = [_pre_check_rule(rule, is_denied, policy, request) for rule, is_denied in before]
    rules += _limit_rules(outcome, limits)
    passes_us = _passes_us(policy, decision, denial) if is_by_limits or not is_denied else None
    reason = reason_of(code, denial)
    passes_at = None if passes_us is None else format_instant(passes_us)
    response.explanation = Explanation(code, rules, passes_at, reason.what, reason.remedy)
    return outcome


def _pre_check_rule(code: Code, is_denied: bool, policy: KeyPolicy, request: CheckRequest) -> dict[str, Any]:
    rule: dict[str, Any] = {"rule": code.value, "passes": not is_denied}
    if is_denied and code is Code.INSUFFICIENT_SCOPE:
        rule["missingScopes"] = missing_scopes(policy.scopes, request.scopes)
    elif is_denied and code is Code.IP_NOT_ALLOWED:
        rule["address"] = request.ip
    return rule


def _limit_rules(outcome: CheckOutcome, denied: tuple[DeniedLimit, ...]) -> list[dict[str, Any]]:
    """Return the limits in the plan's order, then the quota; one that denies says how long the check would wait."""
    prepared, decision = outcome.prepared, outcome.decision
    assert prepared is not None and decision is not None  # noqa: S101, PT018 an explained check has both
    waits = {(limit.name, limit.window_ms): limit.retry_ms for limit in denied}
    rules = []
    for limit, state in zip(prepared.limits, decision.states, strict=True):
        left = max(0, limit.amount - state.used)
        rule = {"rule": "RATE_LIMITED", "name": limit.name, "limit": limit.amount, "windowMs": limit.window_ms}
        rules.append(rule | _standing(state.used, left, (limit.name, limit.window_ms), waits))
    quota = outcome.response.quota
    if quota is not None:
        rule = {"rule": "QUOTA_EXCEEDED", "name": QUOTA, "limit": quota.limit}
        rules.append(rule | _standing(quota.used, quota.remaining, (QUOTA, 0), waits))
    return rules


def _standing(
    used: int, remaining: int | None, name: tuple[str, int], waits: Mapping[tuple[str, int], int | None]
) -> dict[str, Any]:
    wait = {"retryAfterMs": waits[name]} if name in waits else {}
    return {"passes": name not in waits, "used": used, "remaining": remaining, **wait}


def _passes_us(policy: KeyPolicy, decision: Decision, denial: Denial | None) -> int | None:
    """Return when all limits and the quota admit it, rounded up to the millisecond; None: never while the key lasts."""
    passes_us = decision.now_us
    if denial is not None and denial.limits:
        if denial.retry_ms is None:
            return None
        if denial.limits[0].window_ms == 0:
            passes_us = policy.periods[decision.period][2]
        else:
            longest_us = max([state.retry_us for state in decision.states])
            passes_us = -(-(passes_us + longest_us) // 1000) * 1000
    ends = [end for end in (policy.expires_us, policy.secret_ends_us) if end is not None]
    return None if any(end <= passes_us for end in ends) else passes_us
