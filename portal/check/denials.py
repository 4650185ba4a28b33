"""Denials that are still true, so that a flood of refused calls asks Redis once a second.

Exact, since denials consume nothing: until the instant that the script named, the same cost on the same limits is
denied. How long an entry lives is counted from before the script was asked, and what is still to wait from when it had
answered, so that neither a denial nor a wait that is told ends too late or too early; an entry lives for a second at
most, so that a lowered counter shows soon.
"""

from collections import OrderedDict
from math import inf
from time import monotonic
from typing import NamedTuple

from portal.check.policy import KeyPolicy
from portal.limits import Decision, LimitRequest, LimitState, Status

SECONDS_MOST = 1.0
ENTRIES_MOST = 10_000
DENIED = frozenset({Status.RATE_LIMITED, Status.QUOTA_EXCEEDED})

Name = tuple[str, int, int, tuple[str, ...]]


class _Entry(NamedTuple):
    decision: Decision
    heard_at: float
    until: float


class Denials:
    """Of one process, by key, policy version, cost and limits."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Name, _Entry] = OrderedDict()

    def recall(self, policy: KeyPolicy, asked: LimitRequest) -> Decision | None:
        """The decision as the script would give it now, or None: ask it."""
        if not self._entries:
            return None
        name = _name(policy, asked)
        entry = self._entries.get(name)
        if entry is None:
            return None
        now = monotonic()
        if now >= entry.until:
            del self._entries[name]
            return None
        return _later(entry.decision, int((now - entry.heard_at) * 1_000_000))

    def remember(self, policy: KeyPolicy, asked: LimitRequest, decision: Decision, asked_at: float) -> None:
        """Nothing that a retry id, a cost of zero or an admission is part of."""
        if decision.status not in DENIED or asked.retry is not None or asked.cost == 0:
            return
        until = asked_at + min(SECONDS_MOST, _lasts_us(asked, decision) / 1_000_000)
        self._entries[_name(policy, asked)] = _Entry(decision, monotonic(), until)
        while len(self._entries) > ENTRIES_MOST:
            self._entries.popitem(last=False)


def _name(policy: KeyPolicy, asked: LimitRequest) -> Name:
    return policy.key_id, policy.version, asked.cost, tuple([subject.name for subject in asked.subjects])


def _lasts_us(asked: LimitRequest, decision: Decision) -> float:
    """How long the denial is true for certain: until its window or the quota's period has moved on."""
    if decision.status is Status.QUOTA_EXCEEDED and asked.quota is not None:
        return asked.quota.periods[decision.period][2] - decision.now_us
    return max([state.retry_us for state in decision.states if state.retry_us > 0], default=inf)


def _less(wait_us: int, by_us: int) -> int:
    """A wait that has become shorter; what is no wait (0, or a negative mark) stays."""
    return max(1, wait_us - by_us) if wait_us > 0 else wait_us


def _later(decision: Decision, by_us: int) -> Decision:
    states = [LimitState(s.used, _less(s.reset_us, by_us), _less(s.retry_us, by_us)) for s in decision.states]
    return Decision(decision.status, decision.now_us + by_us, decision.used, decision.period, states)
