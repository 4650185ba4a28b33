"""Rate-limit headers of a check answer: draft-ietf-httpapi-ratelimit-headers-11, and the X- forms of old clients."""

from functools import lru_cache

from portal.check import CheckOutcome, Code, PreparedPolicy
from portal.limits import ADMITS
from web.http.rate_limit import rate_limit_lines

MONTH = "month"


def rate_limit_headers(outcome: CheckOutcome) -> bytes:
    """Return the lines of a head; none where no limit was asked.

    That is so for unknown keys, denials before the limits and answers without Redis. Of the last, those that deny
    by this process's part of a limit say when to try again. `RateLimit` describes the tightest: the smallest part left,
    and of equal ones that which stays so for longest.
    """
    response, prepared = outcome.response, outcome.prepared
    wait_ms = response.retry_after_ms
    if prepared is None or not (response.limits or response.quota):
        return b"" if wait_ms is None else b"Retry-After: %d\r\n" % -(-wait_ms // 1000)
    policies, hard = prepared.header_cache or _fill_header_cache(prepared)
    name = None
    if response.limits:
        first = response.limits[0]
        name, limit, remaining, reset_s = first.name, first.limit, first.remaining, -(-first.reset_ms // 1000)
    if hard is not None and response.quota is not None:
        quota_remaining, period_end_s = response.quota.remaining or 0, _seconds_to_period_end(outcome, prepared)
        if name is None or (quota_remaining / max(hard, 1), -period_end_s) < (remaining / limit, -reset_s):
            name, limit, remaining, reset_s = MONTH, hard, quota_remaining, period_end_s
    if name is None:
        return b""
    text = rate_limit_lines(policies, _quoted(name), limit=limit, remaining=remaining, reset_seconds=reset_s)
    if wait_ms is not None:
        text += f"Retry-After: {max(-(-wait_ms // 1000), reset_s)}\r\n"
    return text.encode()


def violated_policies(outcome: CheckOutcome) -> list[str]:
    """Return the names of the limits that denied."""
    if outcome.response.code is Code.QUOTA_EXCEEDED:
        return [MONTH]
    limits = outcome.prepared.limits if outcome.prepared else ()
    states = outcome.decision.states if outcome.decision else []
    return [limit.name for limit, state in zip(limits, states, strict=False) if state.retry_us != ADMITS]


def _fill_header_cache(prepared: PreparedPolicy) -> tuple[str, int | None]:
    """Return the policies and the hard quota, the same in every answer, and store them in `header_cache`."""
    hard = _hard_quota(prepared)
    policies = [f"{_quoted(limit.name)};q={limit.amount};w={-(-limit.window_ms // 1000)}" for limit in prepared.limits]
    if hard is not None:
        policies.append(f"{_quoted(MONTH)};q={hard}")
    header_cache = ", ".join(policies), hard
    prepared.header_cache = header_cache
    return header_cache


def _hard_quota(prepared: PreparedPolicy) -> int | None:
    """Return the quota where it denies; None with overage, without a limit, and for test keys."""
    quota = prepared.policy.quota
    return None if quota is None or quota.amount < 0 else quota.amount


def _seconds_to_period_end(outcome: CheckOutcome, prepared: PreparedPolicy) -> int:
    assert outcome.decision is not None  # noqa: S101 a quota was decided
    _, _, end_us = prepared.policy.periods[outcome.decision.period]
    return -(-(end_us - outcome.decision.now_us) // 1_000_000)


@lru_cache(maxsize=10_000)
def _quoted(name: str) -> str:
    """Return a structured-fields string; names are printable ASCII by the catalogue's rule."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
