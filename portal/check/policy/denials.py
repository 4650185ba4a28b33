"""Denials that are still true, so that a flood of refused calls asks Redis once a second.

Exact, since denials consume nothing: until the instant that the script named, the same cost on the same limits is
denied. How long one is remembered is counted from before the script was asked, and what is still to wait from when it
had answered, so that neither a denial nor a wait ends too late or too early; it is remembered for a second at most, so
that a lowered counter shows soon, and no longer than until this process admits more of the key and resource, so that
what it says of used units is true. A process keeps them with the policy that denied, and begins
without any when it loads a newer one; until then, for at most that second, a raised limit or a revocation elsewhere
does not show in a denial.
"""

from math import inf
from time import monotonic
from typing import NamedTuple

from portal.limits import Decision, LimitRequest, LimitState, Status

MAX_SECONDS = 1.0
MAX_COSTS = 8
DENIED = frozenset({Status.RATE_LIMITED, Status.QUOTA_EXCEEDED})


class Denial(NamedTuple):
    """`received_at` and `until`: monotonic seconds."""

    decision: Decision
    received_at: float
    until: float


class DenialCache(dict[int, Denial]):
    """The denials of one prepared policy, by cost. A plain dict, so that asking whether there is any costs nothing."""

    __slots__ = ()

    def find(self, cost: int) -> Decision | None:
        """Return the decision as the script would give it now; None: ask it."""
        denial = self.get(cost)
        if denial is None:
            return None
        now = monotonic()
        if now >= denial.until:
            del self[cost]
            return None
        return _later(denial.decision, int((now - denial.received_at) * 1_000_000))

    def store(self, request: LimitRequest, decision: Decision, requested_at: float) -> None:
        """Remember a denial; nothing that a retry id, a cost of zero or an admission is part of."""
        if decision.status not in DENIED or request.retry is not None or request.cost == 0:
            return
        if len(self) >= MAX_COSTS:
            self.clear()
        until = requested_at + min(MAX_SECONDS, _lasts_us(request, decision) / 1_000_000)
        self[request.cost] = Denial(decision, monotonic(), until)


def _lasts_us(request: LimitRequest, decision: Decision) -> float:
    """Return how long the denial is true for certain: until its window or the quota's period has moved on.

    Not beyond the period in any case: what it says of the quota, and the period it is counted in, end there.
    """
    period_us = inf
    if request.quota is not None and decision.period >= 0:
        period_us = request.quota.periods[decision.period][2] - decision.now_us
    if decision.status is Status.QUOTA_EXCEEDED:
        return period_us
    return min(period_us, max([state.retry_us for state in decision.states if state.retry_us > 0], default=inf))


def _later(decision: Decision, by_us: int) -> Decision:
    """Return the decision with its waits shortened; what is no wait (0, or a negative mark) stays."""
    states = []
    for state in decision.states:
        reset_us, retry_us = state.reset_us, state.retry_us
        if reset_us > 0:
            reset_us = reset_us - by_us if reset_us > by_us else 1
        if retry_us > 0:
            retry_us = retry_us - by_us if retry_us > by_us else 1
        states.append(LimitState(state.used, reset_us, retry_us))
    return Decision(decision.status, decision.now_us + by_us, decision.used, decision.period, states)
