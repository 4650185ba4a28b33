"""Whose allowance is spent, and until when: remembered in this process, so that refusing them again reads nothing.

Spent is what holds less than a refusal costs. Another process does not know of it, and finds out by a charge.
"""

MAX_CALLERS = 10_000


class RateLimitCache:
    """At most so many callers; who does not fit is not remembered. Instants are seconds of one clock."""

    def __init__(self, most: int = MAX_CALLERS) -> None:
        self._most = most
        self._until: dict[str, float] = {}

    def remember(self, name: str, until: float, now: float) -> None:
        if len(self._until) >= self._most:
            self._until = {other: end for other, end in self._until.items() if end > now}
        if len(self._until) < self._most:
            self._until[name] = until

    def seconds_left(self, name: str, now: float) -> float | None:
        """None where nothing is known against the caller."""
        until = self._until.get(name)
        if until is None:
            return None
        if until <= now:
            del self._until[name]
            return None
        return until - now
