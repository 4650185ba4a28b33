"""Explain: what a check would answer and why, without being one. Never valid, so that it is no free pass."""

from typing import Any

from portal.check.answer import ADMITS, NEVER, Checked, Explanation, add_limits, answer_for, code_of, format_instant
from portal.check.request import CheckRequest
from portal.check.rules import Code, pre_checks
from portal.check.terms import Terms
from portal.limits import Decision


def explain(terms: Terms, request: CheckRequest, decision: Decision, request_id: str) -> Checked:
    """Every rule with its state, and the instant at which the check would pass. `decision` comes from a LOOK."""
    policy = terms.policy
    before = pre_checks(policy, request, decision.now_us)
    denial = next((code for code, is_denied in before if is_denied), None)
    code = denial or code_of(decision.status)
    answer = answer_for(policy, Code.EXPLAINED, request_id)
    checked = Checked(answer, terms, decision)
    add_limits(checked, request.cost, 0)
    wait_ms, answer.retry_after_ms = answer.retry_after_ms, None
    rules: list[dict[str, Any]] = [{"rule": rule.value, "passes": not is_denied} for rule, is_denied in before]
    rules += [
        {"rule": "RATE_LIMITED", "name": limit.name, "passes": state.retry_us == ADMITS, "used": state.used}
        for limit, state in zip(terms.limits, decision.states, strict=True)
    ]
    if policy.quota is not None:
        passes = policy.quota.amount < 0 or decision.used + request.cost <= policy.quota.amount
        rules.append({"rule": "QUOTA_EXCEEDED", "passes": passes, "used": decision.used})
    answer.explanation = Explanation(code, rules, _passes_at(denial, code, decision, wait_ms))
    return checked


def _passes_at(denial: Code | None, code: Code, decision: Decision, wait_ms: int | None) -> str | None:
    if denial is not None or any(state.retry_us == NEVER for state in decision.states):
        return None
    if code is Code.VALID:
        return format_instant(decision.now_us)
    return None if wait_ms is None else format_instant(decision.now_us + wait_ms * 1000)
