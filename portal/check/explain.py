"""Explain: what a check would answer and why, without being one. Never valid, so that it is no free pass."""

from typing import Any

from portal.check.policy import KeyPolicy, PreparedPolicy
from portal.check.request import CheckRequest
from portal.check.response import CheckOutcome, Explanation, add_limits, build_response, code_of, format_instant
from portal.check.rules import Code, pre_checks
from portal.limits import ADMITS, NEVER, Decision


def explain(prepared: PreparedPolicy, request: CheckRequest, decision: Decision, request_id: str) -> CheckOutcome:
    """Return every rule with its state, and the instant at which the check would pass. `decision` comes from a LOOK."""
    policy = prepared.policy
    before = pre_checks(policy, request, decision.now_us)
    denial = next((code for code, is_denied in before if is_denied), None)
    code = denial or code_of(decision.status)
    response = build_response(policy, Code.EXPLAINED, request_id)
    outcome = CheckOutcome(response, prepared, decision)
    add_limits(outcome, request.cost, 0)
    response.retry_after_ms = None
    rules: list[dict[str, Any]] = [{"rule": rule.value, "passes": not is_denied} for rule, is_denied in before]
    rules += [
        {"rule": "RATE_LIMITED", "name": limit.name, "passes": state.retry_us == ADMITS, "used": state.used}
        for limit, state in zip(prepared.limits, decision.states, strict=True)
    ]
    if policy.quota is not None:
        rules.append({"rule": "QUOTA_EXCEEDED", "passes": _has_quota(policy, request, decision), "used": decision.used})
    passes_us = None if denial is not None else _passes_us(policy, request, decision)
    response.explanation = Explanation(code, rules, None if passes_us is None else format_instant(passes_us))
    return outcome


def _has_quota(policy: KeyPolicy, request: CheckRequest, decision: Decision) -> bool:
    return policy.quota is None or policy.quota.amount < 0 or decision.used + request.cost <= policy.quota.amount


def _passes_us(policy: KeyPolicy, request: CheckRequest, decision: Decision) -> int | None:
    """Return when all limits and the quota admit it, rounded up to the millisecond; None: never while the key lasts."""
    waits = [state.retry_us for state in decision.states if state.retry_us != ADMITS]
    if policy.quota is not None and not _has_quota(policy, request, decision):
        waits.append(
            NEVER if request.cost > policy.quota.amount else policy.quota.periods[decision.period][2] - decision.now_us
        )
    if NEVER in waits:
        return None
    passes_us = -(-(decision.now_us + max(waits)) // 1000) * 1000 if waits else decision.now_us
    ends = [end for end in (policy.expires_us, policy.secret_ends_us) if end is not None]
    return None if any(end <= passes_us for end in ends) else passes_us
