"""Rate-limit headers of a check answer: draft-ietf-httpapi-ratelimit-headers-11, and the X- forms of old clients."""

from collections.abc import Sequence
from functools import lru_cache
from math import inf

from portal.check import CheckOutcome, PreparedPolicy
from portal.usage import QUOTA, DeniedLimit
from web.http.rate_limit import rate_limit_lines

Described = tuple[str, int, int, int]
"""What `RateLimit` and `X-RateLimit-*` say: name, limit, units that remain, seconds until more of them do."""


def rate_limit_headers(outcome: CheckOutcome) -> bytes:
    """Return the lines of a head; none where no limit was asked.

    That is so for unknown keys, denials before the limits by an account's others, and answers without Redis. Of the
    last, those that deny by this process's part of a limit say when to try again. `RateLimit` describes, of what
    denies, the limit with the longest wait; otherwise the tightest: the smallest part left, and of equal ones that
    which stays so for longest.
    """
    response, prepared = outcome.response, outcome.prepared
    wait_ms = response.retry_after_ms
    if prepared is None or not (response.limits or response.quota):
        return b"" if wait_ms is None else b"Retry-After: %d\r\n" % -(-wait_ms // 1000)
    policies, hard = prepared.header_cache or _fill_header_cache(prepared)
    name = None
    if outcome.denial is not None:
        violated = _violated(outcome, prepared, outcome.denial.limits)
        if violated is not None:
            name, limit, remaining, reset_s = violated
    if name is None:
        if response.limits:
            first = response.limits[0]
            name, limit, remaining, reset_s = first.name, first.limit, first.remaining, -(-first.reset_ms // 1000)
        if hard is not None and response.quota is not None:
            quota_remaining, period_end_s = response.quota.remaining or 0, _seconds_to_period_end(outcome, prepared)
            if name is None or (quota_remaining / max(hard, 1), -period_end_s) < (remaining / limit, -reset_s):
                name, limit, remaining, reset_s = QUOTA, hard, quota_remaining, period_end_s
        if name is None:
            return b""
    text = rate_limit_lines(policies, _quoted(name), limit=limit, remaining=remaining, reset_seconds=reset_s)
    if wait_ms is not None:
        text += f"Retry-After: {max(-(-wait_ms // 1000), reset_s)}\r\n"
    return text.encode()


def batch_headers(outcomes: Sequence[CheckOutcome]) -> bytes:
    """Return the headers of the worst item: the denied one that waits longest, else the one with the least left."""
    worst = max(outcomes, key=_badness, default=None)
    return b"" if worst is None else rate_limit_headers(worst)


def _badness(outcome: CheckOutcome) -> tuple[int, float, bool]:
    """Return what orders the items of a batch: what can never pass, long waits, little left, what asked no limit.

    All items of a refused atomic batch wait alike: the headers are of one that the limit is a limit of.
    """
    denial, limits, quota = outcome.denial, outcome.response.limits, outcome.response.quota
    if denial is not None and denial.limits:
        wait_ms, prepared = denial.limits[0].retry_ms, outcome.prepared
        has_limit = prepared is not None and _violated(outcome, prepared, denial.limits) is not None
        return 2, inf if wait_ms is None else wait_ms, has_limit
    if not (limits or quota):
        return 0, 0.0, False
    left = limits[0].remaining / limits[0].limit if limits else 1.0
    if quota is not None and quota.limit and quota.remaining is not None and _hard_quota(outcome.prepared) is not None:
        left = min(left, quota.remaining / quota.limit)
    return 1, -left, False


def _violated(outcome: CheckOutcome, prepared: PreparedPolicy, denied: Sequence[DeniedLimit]) -> Described | None:
    """Return the violated limit with the longest wait; None where this item of an atomic batch has none of them."""
    for limit in denied:
        if limit.window_ms == 0:
            if outcome.response.quota is not None:
                return limit.name, limit.limit, limit.remaining or 0, _seconds_to_period_end(outcome, prepared)
            continue
        for entry in outcome.response.limits:
            if entry.name == limit.name:
                return entry.name, entry.limit, entry.remaining, -(-entry.reset_ms // 1000)
    return None


def _fill_header_cache(prepared: PreparedPolicy) -> tuple[str, int | None]:
    """Return the policies and the hard quota, the same in every answer, and store them in `header_cache`."""
    hard = _hard_quota(prepared)
    policies = [f"{_quoted(limit.name)};q={limit.amount};w={-(-limit.window_ms // 1000)}" for limit in prepared.limits]
    if hard is not None:
        policies.append(f"{_quoted(QUOTA)};q={hard}")
    header_cache = ", ".join(policies), hard
    prepared.header_cache = header_cache
    return header_cache


def _hard_quota(prepared: PreparedPolicy | None) -> int | None:
    """Return the quota where it denies; None with overage, without a limit, and for test keys."""
    quota = prepared.policy.quota if prepared is not None else None
    return None if quota is None or quota.amount < 0 else quota.amount


def _seconds_to_period_end(outcome: CheckOutcome, prepared: PreparedPolicy) -> int:
    assert outcome.decision is not None  # noqa: S101 a quota was decided
    _, _, end_us = prepared.policy.periods[outcome.decision.period]
    return -(-(end_us - outcome.decision.now_us) // 1_000_000)


@lru_cache(maxsize=10_000)
def _quoted(name: str) -> str:
    """Return a structured-fields string; names are printable ASCII by the catalogue's rule."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
