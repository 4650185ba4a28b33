"""Rate-limit headers of a check answer: draft-ietf-httpapi-ratelimit-headers-11, and the X- forms of old clients."""

from functools import lru_cache

from portal.check import ADMITS, Checked, Code

MONTH = "month"


Entry = tuple[str, int, int, int]
"""A limit, or the monthly quota: name, limit, remaining, whole seconds until its reset (rounded up)."""


def rate_limit_headers(checked: Checked) -> dict[str, str]:
    """Empty where no limit was asked: unknown keys, denials before the limits, answers without Redis.

    Of the last, those that deny by this process's part of a limit say when to try again.
    """
    wait_ms = checked.answer.retry_after_ms
    policies, entries = _policies_and_entries(checked)
    if not entries:
        return {} if wait_ms is None else {"Retry-After": str(-(-wait_ms // 1000))}
    name, limit, remaining, reset_s = min(entries, key=_tightness)
    headers = {
        "RateLimit-Policy": ", ".join(policies),
        "RateLimit": f"{_quoted(name)};r={remaining};t={reset_s}",
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(reset_s),
    }
    if wait_ms is not None:
        headers["Retry-After"] = str(max(-(-wait_ms // 1000), reset_s))
    return headers


def violated_policies(checked: Checked) -> list[str]:
    """Names of what denied."""
    if checked.answer.code is Code.QUOTA_EXCEEDED:
        return [MONTH]
    states = checked.decision.states if checked.decision else []
    return [limit.name for limit, state in zip(checked.limits, states, strict=False) if state.retry_us != ADMITS]


def _policies_and_entries(checked: Checked) -> tuple[list[str], list[Entry]]:
    windows = {limit.name: limit.window_ms for limit in checked.limits}
    policies, entries = [], []
    for told in checked.answer.limits:
        policies.append(_policy(told.name, told.limit, windows[told.name]))
        entries.append((told.name, told.limit, told.remaining, -(-told.reset_ms // 1000)))
    hard, quota = _hard_quota(checked), checked.answer.quota
    if hard is not None and quota is not None:
        policies.append(f"{_quoted(MONTH)};q={hard}")
        entries.append((MONTH, hard, quota.remaining or 0, _seconds_to_period_end(checked)))
    return policies, entries


def _tightness(entry: Entry) -> tuple[float, int]:
    return entry[2] / max(entry[1], 1), -entry[3]


@lru_cache(maxsize=10_000)
def _policy(name: str, limit: int, window_ms: int) -> str:
    return f"{_quoted(name)};q={limit};w={-(-window_ms // 1000)}"


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


@lru_cache(maxsize=10_000)
def _quoted(name: str) -> str:
    """A structured-fields string; names are printable ASCII by the catalogue's rule."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
