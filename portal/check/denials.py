"""Denials that are still true, so that a flood of refused calls asks Redis once a second.

Exact, since denials consume nothing: until the instant that the script named, the same cost on the same limits is
denied. That instant is counted from before the script was asked; an entry lives for a second at most, so that a lowered
counter shows soon.
"""

from collections import OrderedDict
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
    asked_at: float
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
        return _later(entry.decision, int((now - entry.asked_at) * 1_000_000))

    def remember(self, policy: KeyPolicy, asked: LimitRequest, decision: Decision, asked_at: float) -> None:
        """Nothing that a retry id, a cost of zero or an admission is part of."""
        if decision.status not in DENIED or asked.retry is not None or asked.cost == 0:
            return
        waits = [state.retry_us / 1_000_000 for state in decision.states if state.retry_us > 0]
        until = asked_at + min([SECONDS_MOST, *([max(waits)] if waits else [])])
        self._entries[_name(policy, asked)] = _Entry(decision, asked_at, until)
        while len(self._entries) > ENTRIES_MOST:
            self._entries.popitem(last=False)


def _name(policy: KeyPolicy, asked: LimitRequest) -> Name:
    return policy.key_id, policy.version, asked.cost, tuple([subject.name for subject in asked.subjects])


def _less(wait_us: int, by_us: int) -> int:
    """A wait that has become shorter; what is no wait (0, or a negative mark) stays."""
    return max(1, wait_us - by_us) if wait_us > 0 else wait_us


def _later(decision: Decision, by_us: int) -> Decision:
    states = [LimitState(s.used, _less(s.reset_us, by_us), _less(s.retry_us, by_us)) for s in decision.states]
    return Decision(decision.status, decision.now_us + by_us, decision.used, decision.period, states)
