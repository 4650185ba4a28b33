"""The answer to a check: the contract's fields, in its order."""

from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from portal.check.policy import KeyPolicy, NamedLimit
from portal.check.rules import Code
from portal.core.clock import from_microseconds
from portal.limits import Decision, Status

NEVER = -2
ADMITS = -1

_CODES = {
    Status.RATE_LIMITED: Code.RATE_LIMITED,
    Status.QUOTA_EXCEEDED: Code.QUOTA_EXCEEDED,
    Status.ADMITTED: Code.VALID,
}


class LimitAnswer(msgspec.Struct, rename="camel", gc=False):
    """`reset_ms`: until the oldest counted unit leaves the window, 0 when it is empty."""

    name: str
    limit: int
    remaining: int
    reset_ms: int


class QuotaAnswer(msgspec.Struct, rename="camel", gc=False):
    """`limit` and `remaining` None: unlimited."""

    limit: int | None
    used: int
    remaining: int | None
    reset_at: str


class Explanation(msgspec.Struct, rename="camel"):
    """`code` is what the check would answer, `passes_at` the instant at which it would pass (None: never)."""

    code: Code
    rules: list[dict[str, Any]]
    passes_at: str | None


class Answer(msgspec.Struct, rename="camel"):
    """The body that the caller gets; everything but `valid`, `code` and `request_id` is empty for NOT_FOUND."""

    valid: bool
    code: Code
    request_id: str
    key_id: str | None = None
    account_id: str | None = None
    environment: str | None = None
    name: str | None = None
    scopes: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    degraded: bool = False
    limits: list[LimitAnswer] = []
    quota: QuotaAnswer | None = None
    retry_after_ms: int | None = None
    explanation: Explanation | msgspec.UnsetType = msgspec.UNSET


class Checked(NamedTuple):
    """An answer, the policy that it was given by (None for NOT_FOUND), the limiter's decision if it was asked, and

    the limits that were asked for, in the order of the decision's states.
    """

    answer: Answer
    policy: KeyPolicy | None = None
    decision: Decision | None = None
    limits: tuple[NamedLimit, ...] = ()


def answer_for(policy: KeyPolicy, code: Code, request_id: str, *, is_degraded: bool = False) -> Answer:
    """An answer without limits: a denial by the pre-checks, or one given without Redis."""
    return Answer(
        valid=code is Code.VALID,
        code=code,
        request_id=request_id,
        key_id=policy.key_id,
        account_id=policy.account_id,
        environment=policy.environment,
        name=policy.name,
        scopes=policy.scopes,
        metadata=policy.metadata,
        degraded=is_degraded,
    )


def code_of(status: Status) -> Code:
    return _CODES[status]


def add_limits(checked: Checked, cost: int, taken: int) -> None:
    """Fill limits (the tightest first), quota and the time to wait, as they are after `taken` of `cost` units."""
    answer, policy, decision, limits = checked
    assert policy is not None and decision is not None  # noqa: S101, PT018 only such answers have limits
    entries = []
    for limit, state in zip(limits, decision.states, strict=True):
        left = limit.amount - state.used - taken
        reset_us = state.reset_us
        reset_ms = -(-reset_us // 1000) if reset_us else limit.step_ms if taken else 0
        entries.append(LimitAnswer(limit.name, limit.amount, max(0, left), reset_ms))
    if len(entries) > 1:
        entries.sort(key=_tightness)
    answer.limits = entries
    if policy.quota is not None and decision.period >= 0:
        used = decision.used + taken
        total = policy.quota_amount
        end_us = policy.quota.periods[decision.period][2]
        remaining = None if total is None else total - used if total > used else 0
        answer.quota = QuotaAnswer(total, used, remaining, format_instant(end_us))
    if decision.status is not Status.ADMITTED:
        answer.retry_after_ms = _retry_after_ms(policy, decision, cost)


def _tightness(entry: LimitAnswer) -> float:
    return entry.remaining / entry.limit


def _retry_after_ms(policy: KeyPolicy, decision: Decision, cost: int) -> int | None:
    """Milliseconds until the same check would pass, rounded up; None when it can never pass."""
    waits = [state.retry_us for state in decision.states if state.retry_us != ADMITS]
    if NEVER in waits:
        return None
    if policy.quota is not None and Status.QUOTA_EXCEEDED in {decision.status, decision.first_status}:
        if cost > policy.quota.amount:
            return None
        waits.append(policy.quota.periods[decision.period][2] - decision.now_us)
    return -(-max(waits) // 1000) if waits else None


@lru_cache(maxsize=1000)
def format_instant(instant_us: int) -> str:
    text = from_microseconds(instant_us).isoformat(
        timespec="seconds" if instant_us % 1_000_000 == 0 else "milliseconds"
    )
    return text.replace("+00:00", "Z")
