"""Rate-limit headers of a check answer: draft-ietf-httpapi-ratelimit-headers-11, and the X- forms of old clients."""

from functools import lru_cache

from portal.check import CheckOutcome, Code
from portal.check.policy.prepared import PreparedPolicy
from portal.limits import ADMITS

MONTH = "month"


def rate_limit_headers(checked: CheckOutcome) -> bytes:
    """Lines of a head; none where no limit was asked: unknown keys, denials before the limits, answers without Redis.

    Of the last, those that deny by this process's part of a limit say when to try again. `RateLimit` tells of the
    tightest: the smallest part left, and of equal ones that which stays so for longest.
    """
    answer, prepared = checked.answer, checked.prepared
    wait_ms = answer.retry_after_ms
    if prepared is None or not (answer.limits or answer.quota):
        return b"" if wait_ms is None else b"Retry-After: %d\r\n" % -(-wait_ms // 1000)
    policies, hard = prepared.header_cache or _tell(prepared)
    name = None
    if answer.limits:
        first = answer.limits[0]
        name, limit, remaining, reset_s = first.name, first.limit, first.remaining, -(-first.reset_ms // 1000)
    if hard is not None and answer.quota is not None:
        left, until_s = answer.quota.remaining or 0, _seconds_to_period_end(checked, prepared)
        if name is None or (left / max(hard, 1), -until_s) < (remaining / limit, -reset_s):
            name, limit, remaining, reset_s = MONTH, hard, left, until_s
    if name is None:
        return b""
    text = (
        f"RateLimit-Policy: {policies}\r\nRateLimit: {_quoted(name)};r={remaining};t={reset_s}\r\n"
        f"X-RateLimit-Limit: {limit}\r\nX-RateLimit-Remaining: {remaining}\r\nX-RateLimit-Reset: {reset_s}\r\n"
    )
    if wait_ms is not None:
        text += f"Retry-After: {max(-(-wait_ms // 1000), reset_s)}\r\n"
    return text.encode()


def violated_policies(checked: CheckOutcome) -> list[str]:
    """Names of what denied."""
    if checked.answer.code is Code.QUOTA_EXCEEDED:
        return [MONTH]
    limits = checked.prepared.limits if checked.prepared else ()
    states = checked.decision.states if checked.decision else []
    return [limit.name for limit, state in zip(limits, states, strict=False) if state.retry_us != ADMITS]


def _tell(prepared: PreparedPolicy) -> tuple[str, int | None]:
    """The policies and the hard quota, the same in every answer: kept in `terms.told`."""
    hard = _hard_quota(prepared)
    policies = [f"{_quoted(limit.name)};q={limit.amount};w={-(-limit.window_ms // 1000)}" for limit in prepared.limits]
    if hard is not None:
        policies.append(f"{_quoted(MONTH)};q={hard}")
    header_cache = ", ".join(policies), hard
    prepared.header_cache = header_cache
    return header_cache


def _hard_quota(prepared: PreparedPolicy) -> int | None:
    """The quota where it denies; None with overage, without a limit, and for test keys."""
    quota = prepared.policy.quota
    return None if quota is None or quota.amount < 0 else quota.amount


def _seconds_to_period_end(checked: CheckOutcome, prepared: PreparedPolicy) -> int:
    assert checked.decision is not None  # noqa: S101 a quota was told
    _, _, end_us = prepared.policy.periods[checked.decision.period]
    return -(-(end_us - checked.decision.now_us) // 1_000_000)


@lru_cache(maxsize=10_000)
def _quoted(name: str) -> str:
    """A structured-fields string; names are printable ASCII by the catalogue's rule."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
