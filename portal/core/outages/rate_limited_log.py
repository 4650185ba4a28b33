"""Log a kind of failure at most once a second: during an outage every request has the same to say."""

from time import monotonic
from typing import Any

from portal.core.logs import get_log

EVERY_SECONDS = 1.0


class RateLimitedLog:
    """The lines of one logger, limited by event. `suppressed` is how many like it were not written since the last."""

    def __init__(self, name: str) -> None:
        self._log = get_log(name)
        self._next_at: dict[str, float] = {}
        self._suppressed: dict[str, int] = {}

    def warning(self, event: str, **fields: Any) -> None:
        """Log a warning, unless one of this event was written within the last second."""
        if (suppressed := self._may_write(event)) is not None:
            self._log.warning(event, **fields, **suppressed)

    def error(self, event: str, **fields: Any) -> None:
        """Log an error, unless one of this event was written within the last second."""
        if (suppressed := self._may_write(event)) is not None:
            self._log.error(event, **fields, **suppressed)

    def _may_write(self, event: str) -> dict[str, int] | None:
        now = monotonic()
        if now < self._next_at.get(event, 0.0):
            self._suppressed[event] = self._suppressed.get(event, 0) + 1
            return None
        self._next_at[event] = now + EVERY_SECONDS
        suppressed = self._suppressed.pop(event, 0)
        return {"suppressed": suppressed} if suppressed else {}
