"""Rate-limit headers of a check answer: draft-ietf-httpapi-ratelimit-headers-11, and the X- forms of old clients."""

from typing import NamedTuple

from portal.check import ADMITS, Checked, Code

MONTH = "month"


class Tightest(NamedTuple):
    """What is nearest to its end: a limit, or the monthly quota. `reset_s` in whole seconds, rounded up."""

    name: str
    limit: int
    remaining: int
    reset_s: int


def rate_limit_headers(checked: Checked) -> dict[str, str]:
    """Empty where no limit was asked: unknown keys, denials before the limits, answers without Redis."""
    policies = _policies(checked)
    if not policies:
        return {}
    tightest = min(_entries(checked), key=lambda entry: (entry.remaining / max(entry.limit, 1), -entry.reset_s))
    headers = {
        "RateLimit-Policy": ", ".join(policies),
        "RateLimit": f"{_quoted(tightest.name)};r={tightest.remaining};t={tightest.reset_s}",
        "X-RateLimit-Limit": str(tightest.limit),
        "X-RateLimit-Remaining": str(tightest.remaining),
        "X-RateLimit-Reset": str(tightest.reset_s),
    }
    if checked.answer.retry_after_ms is not None:
        headers["Retry-After"] = str(max(-(-checked.answer.retry_after_ms // 1000), tightest.reset_s))
    return headers


def violated_policies(checked: Checked) -> list[str]:
    """Names of what denied."""
    if checked.answer.code is Code.QUOTA_EXCEEDED:
        return [MONTH]
    states = checked.decision.states if checked.decision else []
    return [limit.name for limit, state in zip(checked.limits, states, strict=False) if state.retry_us != ADMITS]


def _policies(checked: Checked) -> list[str]:
    if checked.policy is None or (not checked.answer.limits and checked.answer.quota is None):
        return []
    windows = {limit.name: limit.window_ms for limit in checked.limits}
    entries = [
        f"{_quoted(entry.name)};q={entry.limit};w={-(-windows[entry.name] // 1000)}" for entry in checked.answer.limits
    ]
    hard = _hard_quota(checked)
    return entries if hard is None else [*entries, f"{_quoted(MONTH)};q={hard}"]


def _entries(checked: Checked) -> list[Tightest]:
    entries = [
        Tightest(entry.name, entry.limit, entry.remaining, -(-entry.reset_ms // 1000))
        for entry in checked.answer.limits
    ]
    hard, quota = _hard_quota(checked), checked.answer.quota
    if hard is not None and quota is not None:
        entries.append(Tightest(MONTH, hard, quota.remaining or 0, _seconds_to_period_end(checked)))
    return entries


def _hard_quota(checked: Checked) -> int | None:
    """The quota where it denies; None with overage, without a limit, and for test keys."""
    policy = checked.policy
    if policy is None or policy.quota is None or policy.quota.amount < 0 or checked.answer.quota is None:
        return None
    return policy.quota.amount


def _seconds_to_period_end(checked: Checked) -> int:
    assert checked.decision is not None and checked.policy is not None  # noqa: S101, PT018 a quota was told
    _, _, end_us = checked.policy.periods[checked.decision.period]
    return -(-(end_us - checked.decision.now_us) // 1_000_000)


def _quoted(name: str) -> str:
    """A structured-fields string; names are printable ASCII by the catalogue's rule."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
