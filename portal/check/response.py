"""The response to a check: the contract's fields, in its order."""

from functools import lru_cache
from typing import Any

import msgspec

from portal.check.policy import KeyPolicy, NamedLimit, PreparedPolicy
from portal.check.rules import Code
from portal.core.clock import from_microseconds
from portal.limits import Decision, Status
from portal.usage import Denial

_CODES = (Code.VALID, Code.RATE_LIMITED, Code.QUOTA_EXCEEDED)
"""By status: ADMITTED, RATE_LIMITED, QUOTA_EXCEEDED."""
_VALID = Code.VALID


class LimitAnswer(msgspec.Struct, rename="camel", gc=False, omit_defaults=True):
    """How one limit stands: at most `limit` units at once, of which `remaining` pass now.

    `reset_ms`: until the oldest counted unit leaves the window, 0 when it is empty. `window_ms` and `resource` are for
    who asks about a key's limits (live.py); the response to a check has neither.
    """

    name: str
    limit: int
    remaining: int
    reset_ms: int
    window_ms: int = 0
    resource: str | None = None


class QuotaAnswer(msgspec.Struct, rename="camel", gc=False):
    """How the quota stands; `limit` and `remaining` None: unlimited."""

    limit: int | None
    used: int
    remaining: int | None
    reset_at: str


class Explanation(msgspec.Struct, rename="camel"):
    """What the check would answer (`code`), why, and the instant at which it would pass (`passes_at`; None: never)."""

    code: Code
    rules: list[dict[str, Any]]
    passes_at: str | None
    reason: str
    remedy: str | None


class CheckResponse(msgspec.Struct, rename="camel", gc=False):
    """The body that the caller gets; everything but `valid`, `code` and `request_id` is empty for NOT_FOUND.

    `replayed` and `violated_policies` are there only where they say something: with an answer that was given before,
    and with what limits deny.
    """

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
    replayed: bool | msgspec.UnsetType = msgspec.UNSET
    violated_policies: list[str] | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="violated-policies")
    explanation: Explanation | msgspec.UnsetType = msgspec.UNSET


class CheckOutcome(msgspec.Struct, gc=False):
    """A response, what the check was held to (None for NOT_FOUND), and the limiter's decision if it was asked.

    `denial`: what a denied check lacked, beyond its code.
    """

    response: CheckResponse
    prepared: PreparedPolicy | None = None
    decision: Decision | None = None
    denial: Denial | None = None


def build_response(policy: KeyPolicy, code: Code, request_id: str, *, is_degraded: bool = False) -> CheckResponse:
    """Build a response that has no limits yet; one given without Redis stays so."""
    return CheckResponse(
        code is _VALID,
        code,
        request_id,
        policy.key_id,
        policy.account_id,
        policy.environment,
        policy.name,
        policy.scopes,
        policy.metadata,
        is_degraded,
    )


def code_of(status: Status) -> Code:
    """Return the code of a limiter's decision."""
    return _CODES[status]


def add_limits(outcome: CheckOutcome, taken: int) -> None:
    """Fill limits (the tightest first) and quota, as they are after `taken` units."""
    response, prepared, decision = outcome.response, outcome.prepared, outcome.decision
    assert prepared is not None and decision is not None  # noqa: S101, PT018 only such outcomes have limits
    policy = prepared.policy
    response.limits = _limits(prepared.limits, decision, taken)
    if policy.quota is not None and decision.period >= 0:
        used = decision.used + taken
        total = policy.quota_amount
        end_us = policy.quota.periods[decision.period][2]
        remaining = None if total is None else total - used if total > used else 0
        response.quota = QuotaAnswer(total, used, remaining, format_instant(end_us))


def _limits(limits: tuple[NamedLimit, ...], decision: Decision, taken: int) -> list[LimitAnswer]:
    """Return how each limit stands, the tightest first: the smallest part left, of equals the longest to stay so."""
    entries: list[LimitAnswer] = []
    order = []
    for limit, state in zip(limits, decision.states):  # noqa: B905 a repeated answer may have no states
        amount = limit.amount
        remaining = amount - state.used - taken
        if remaining < 0:
            remaining = 0
        reset_us = state.reset_us
        reset_ms = -(-reset_us // 1000) if reset_us else limit.step_ms if taken else 0
        order.append((remaining / amount, -reset_ms, len(entries)))
        entries.append(LimitAnswer(limit.name, amount, remaining, reset_ms))
    if len(entries) < 2:
        return entries
    if len(entries) == 2:
        return entries if order[0] < order[1] else entries[::-1]
    order.sort()
    return [entries[place] for _, _, place in order]


@lru_cache(maxsize=1000)
def format_instant(instant_us: int) -> str:
    """Format microseconds as RFC 3339, to the second where that is exact and else to the millisecond."""
    text = from_microseconds(instant_us).isoformat(
        timespec="seconds" if instant_us % 1_000_000 == 0 else "milliseconds"
    )
    return text.replace("+00:00", "Z")
