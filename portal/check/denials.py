"""Denials that are still true, so that a flood of refused calls asks Redis once a second.

Exact, since denials consume nothing: until the instant that the script named, the same cost on the same limits is
denied. How long one is kept is counted from before the script was asked, and what is still to wait from when it had
answered, so that neither a denial nor a wait that is told ends too late or too early; it is kept for a second at most,
so that a lowered counter shows soon. A process keeps them with the terms that denied: a newer policy has terms anew.
"""

from math import inf
from time import monotonic
from typing import NamedTuple

from portal.check.policy.prepared import MAX_COSTS, PreparedPolicy
from portal.limits import Decision, LimitRequest, LimitState, Status

MAX_SECONDS = 1.0
DENIED = frozenset({Status.RATE_LIMITED, Status.QUOTA_EXCEEDED})


class Denial(NamedTuple):
    """`heard_at` and `until`: monotonic seconds."""

    decision: Decision
    heard_at: float
    until: float


def find_denial(prepared: PreparedPolicy, cost: int) -> Decision | None:
    """The decision as the script would give it now, or None: ask it."""
    denial: Denial | None = prepared.denials.get(cost)
    if denial is None:
        return None
    now = monotonic()
    if now >= denial.until:
        del prepared.denials[cost]
        return None
    return _later(denial.decision, int((now - denial.heard_at) * 1_000_000))


def store_denial(prepared: PreparedPolicy, asked: LimitRequest, decision: Decision, asked_at: float) -> None:
    """Nothing that a retry id, a cost of zero or an admission is part of."""
    if decision.status not in DENIED or asked.retry is not None or asked.cost == 0:
        return
    if len(prepared.denials) >= MAX_COSTS:
        prepared.denials.clear()
    until = asked_at + min(MAX_SECONDS, _lasts_us(asked, decision) / 1_000_000)
    prepared.denials[asked.cost] = Denial(decision, monotonic(), until)


def _lasts_us(asked: LimitRequest, decision: Decision) -> float:
    """How long the denial is true for certain: until its window or the quota's period has moved on.

    Not beyond the period in any case: what it tells of the quota, and the period it is counted in, end there.
    """
    period_us = inf
    if asked.quota is not None and decision.period >= 0:
        period_us = asked.quota.periods[decision.period][2] - decision.now_us
    if decision.status is Status.QUOTA_EXCEEDED:
        return period_us
    return min(period_us, max([state.retry_us for state in decision.states if state.retry_us > 0], default=inf))


def _less(wait_us: int, by_us: int) -> int:
    """A wait that has become shorter; what is no wait (0, or a negative mark) stays."""
    return max(1, wait_us - by_us) if wait_us > 0 else wait_us


def _later(decision: Decision, by_us: int) -> Decision:
    states = [LimitState(s.used, _less(s.reset_us, by_us), _less(s.retry_us, by_us)) for s in decision.states]
    return Decision(decision.status, decision.now_us + by_us, decision.used, decision.period, states)
